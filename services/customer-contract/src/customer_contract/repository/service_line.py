"""Service lines as rows: the columns that quote lines and contract lines share."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from customer_contract import tables
from customer_contract.domain.service_line import BillingModel, ModelTerms, ServiceLine
from customer_contract.domain.values import QuoteLineId
from customer_contract.repository.columns import source_columns, source_from
from customer_contract.repository.line_terms import (
    delivery_from,
    milestones_from,
    rates_from,
    terms_from,
    write_delivery,
    write_milestones,
    write_rates,
    write_terms,
)
from customer_contract.repository.sql import LINE_PREFIX
from throughline_core.money import Money

_COLUMNS: Final = [
    column.name
    for column in tables.quote_line.c
    if column.name not in {"quote_id", "quote_version"}
]


def line_values(lines: Sequence[ServiceLine]) -> dict[str, list[Any]]:
    """Return the lines as one list for each column."""
    rows = [_columns(line) for line in lines]
    return {f"{LINE_PREFIX}{name}": [row[name] for row in rows] for name in _COLUMNS}


def _columns(line: ServiceLine) -> dict[str, object]:
    terms = line.terms
    return {
        "quote_line_id": line.quote_line_id,
        "position": line.position,
        "service_code": line.service_code,
        "description": line.description,
        "billing_model": line.billing_model,
        "quantity": line.quantity,
        "unit_price": line.unit_price.amount,
        "net_total": line.net_total.amount,
        "discount_percent": line.discount_percent,
        "tax_category": line.tax_category,
        "template_code": line.template_code,
        "start_on": line.start_on,
        "end_on": line.end_on,
        "milestones": json.dumps(write_milestones(terms.milestones)),
        "rates": json.dumps(write_rates(terms.rates)),
        "not_to_exceed": terms.not_to_exceed and terms.not_to_exceed.amount,
        "anchor_day": terms.anchor_day,
        "in_advance": terms.in_advance,
        "markup_percent": terms.markup_percent,
        "terms": json.dumps(write_terms(terms)),
        "delivery": json.dumps(write_delivery(line.delivery)),
        **source_columns(line.source),
    }


def line_from(row: Row[Any], currency: str) -> ServiceLine:
    return ServiceLine(
        quote_line_id=QuoteLineId(row.quote_line_id),
        position=row.position,
        service_code=row.service_code,
        description=row.description,
        billing_model=BillingModel(row.billing_model),
        quantity=row.quantity,
        unit_price=Money(row.unit_price, currency),
        net_total=Money(row.net_total, currency),
        discount_percent=row.discount_percent,
        tax_category=row.tax_category,
        template_code=row.template_code,
        start_on=row.start_on,
        end_on=row.end_on,
        terms=ModelTerms(
            milestones=milestones_from(row.milestones, currency),
            rates=rates_from(row.rates, currency),
            not_to_exceed=(
                None if row.not_to_exceed is None else Money(row.not_to_exceed, currency)
            ),
            anchor_day=row.anchor_day,
            in_advance=row.in_advance,
            markup_percent=row.markup_percent,
            **terms_from(row.terms, currency),
        ),
        source=source_from(row),
        delivery=delivery_from(row.delivery, currency),
    )
