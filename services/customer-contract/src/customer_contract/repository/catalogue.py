"""The service catalogue."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ARRAY, Row, Text, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.catalogue import CatalogueEntry, amounts_of
from customer_contract.domain.service_line import (
    BillingModel,
    Dimensions,
    LineDefaults,
    ModelTerms,
    RevenueMethod,
)
from customer_contract.repository.line_terms import (
    milestones_from,
    terms_from,
    write_milestones,
    write_terms,
)
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.statement import Statement

_ENTRY: Final = tables.catalogue_entry
_ENTRIES: Final = Statement(
    select(_ENTRY).where(_ENTRY.c.code == any_(bindparam("codes", type_=ARRAY(Text))))
)
_TEMPLATES: Final = Statement(
    select(_ENTRY.c.template_code)
    .distinct()
    .where(_ENTRY.c.template_code == any_(bindparam("codes", type_=ARRAY(Text))))
    .where(~_ENTRY.c.retired)
)


class ServiceNotFound(NotFound):
    """The catalogue has no service of this code."""

    code = "catalogue.not_found"


async def get(tx: AsyncConnection, code: str) -> CatalogueEntry:
    """Return the entry.

    Raises:
        ServiceNotFound: there is none.
    """
    found = await entries(tx, [code])
    if code not in found:
        raise ServiceNotFound(f"the catalogue has no service {code}", field="code")
    return found[code]


async def entries(tx: AsyncConnection, codes: Iterable[str]) -> Mapping[str, CatalogueEntry]:
    """Return the entries of these codes that exist, by code."""
    rows = await _ENTRIES.fetch(tx, {"codes": sorted(set(codes))})
    return {row.code: entry_from(row) for row in rows}


async def templates(tx: AsyncConnection, codes: Iterable[str]) -> frozenset[str]:
    """Return those of these template codes that a service on sale has."""
    rows = await _TEMPLATES.fetch(tx, {"codes": sorted(set(codes))})
    return frozenset(row.template_code for row in rows)


async def add(tx: AsyncConnection, entry: CatalogueEntry) -> None:
    """Write a new entry.

    Raises:
        StaleVersion: another writer made it first.
    """
    values = {"code": entry.code, **_state_columns(entry)}
    written = await tx.execute(
        insert(tables.catalogue_entry).values(values).on_conflict_do_nothing()
    )
    if written.rowcount != 1:
        raise StaleVersion(f"service {entry.code} was made by another writer")
    await _keep_version(tx, entry)


async def save(tx: AsyncConnection, entry: CatalogueEntry) -> None:
    """Write the new state.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    table = tables.catalogue_entry
    written = await tx.execute(
        update(table)
        .where(table.c.code == entry.code, table.c.version == entry.version - 1)
        .values(_state_columns(entry))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"service {entry.code} is not at {entry.version - 1}")
    await _keep_version(tx, entry)


async def _keep_version(tx: AsyncConnection, entry: CatalogueEntry) -> None:
    values = {"code": entry.code, **_state_columns(entry)}
    await tx.execute(insert(tables.catalogue_version).values(values))
    audit.touch(tx, derived_id("service", entry.code))


def entry_from(row: Row[Any]) -> CatalogueEntry:
    method = row.revenue_method
    return CatalogueEntry(
        code=row.code,
        version=row.version,
        defaults=LineDefaults(
            name=row.name,
            billing_model=BillingModel(row.billing_model),
            tax_category=row.tax_category,
            template_code=row.template_code,
            terms=ModelTerms(
                milestones=milestones_from(row.milestones, None),
                anchor_day=row.anchor_day,
                in_advance=row.in_advance,
                markup_percent=row.markup_percent,
                **terms_from(row.terms, row.terms_currency or ""),
            ),
            revenue_method=None if method is None else RevenueMethod(method),
            dimensions=Dimensions(row.department, row.practice),
        ),
        retired=row.retired,
        floor_prices=tuple(
            Money(Decimal(amount), currency) for amount, currency in row.floor_prices
        ),
        proposed_by=row.proposed_by,
        published_by=row.published_by,
        published_at=row.published_at,
    )


def _state_columns(entry: CatalogueEntry) -> dict[str, object]:
    defaults, terms = entry.defaults, entry.defaults.terms
    amounts = amounts_of(terms)
    return {
        "version": entry.version,
        "name": defaults.name,
        "billing_model": defaults.billing_model,
        "tax_category": defaults.tax_category,
        "template_code": defaults.template_code,
        "milestones": write_milestones(terms.milestones),
        "anchor_day": terms.anchor_day,
        "in_advance": terms.in_advance,
        "markup_percent": terms.markup_percent,
        "retired": entry.retired,
        "terms": write_terms(terms),
        "terms_currency": amounts[0].currency if amounts else None,
        "revenue_method": defaults.revenue_method,
        "department": defaults.dimensions.department,
        "practice": defaults.dimensions.practice,
        "floor_prices": [[f"{one.amount:f}", one.currency] for one in entry.floor_prices],
        "proposed_by": entry.proposed_by,
        "published_by": entry.published_by,
        "published_at": entry.published_at,
    }
