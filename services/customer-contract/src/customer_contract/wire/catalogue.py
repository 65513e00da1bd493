"""Messages of the service catalogue."""

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.service_line import LineDefaults, ModelTerms
from customer_contract.wire.service_line import (
    BILLING_MODEL,
    PERCENT_PLACES,
    read_milestones,
    write_milestones,
)
from throughline.customer_contract.v1 import catalogue_service_pb2 as pb
from throughline_runtime.fields import read_enum, read_optional_decimal, write_decimal


def read_defaults(request: pb.PutServiceRequest) -> LineDefaults:
    """Return what lines of the service take over."""
    return LineDefaults(
        name=request.name,
        billing_model=read_enum("billing_model", request.billing_model, BILLING_MODEL),
        tax_category=request.tax_category,
        template_code=request.template_code,
        terms=ModelTerms(
            milestones=read_milestones("milestones", request.milestones),
            anchor_day=request.anchor_day,
            in_advance=request.in_advance,
            markup_percent=read_optional_decimal(
                "markup_percent", request.markup_percent, places=PERCENT_PLACES
            ),
        ),
    )


def write_entry(entry: CatalogueEntry) -> pb.CatalogueEntry:
    defaults = entry.defaults
    terms = defaults.terms
    return pb.CatalogueEntry(
        code=entry.code,
        version=entry.version,
        name=defaults.name,
        billing_model=BILLING_MODEL.write(defaults.billing_model),
        tax_category=defaults.tax_category,
        template_code=defaults.template_code,
        milestones=write_milestones(terms.milestones),
        anchor_day=terms.anchor_day,
        in_advance=terms.in_advance,
        markup_percent="" if terms.markup_percent is None else write_decimal(terms.markup_percent),
        retired=entry.retired,
    )
