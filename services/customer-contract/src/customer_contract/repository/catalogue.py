"""The service catalogue."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.service_line import BillingModel, LineDefaults, ModelTerms
from customer_contract.repository.service_line import milestones_from, write_milestones
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit


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
    table = tables.catalogue_entry
    query = select(table).where(table.c.code.in_(sorted(set(codes))))
    return {row.code: entry_from(row) for row in await tx.execute(query)}


async def templates(tx: AsyncConnection, codes: Iterable[str]) -> frozenset[str]:
    """Return those of these template codes that a service on sale has."""
    table = tables.catalogue_entry
    query = select(table.c.template_code).distinct()
    query = query.where(table.c.template_code.in_(sorted(set(codes))), ~table.c.retired)
    return frozenset((await tx.execute(query)).scalars())


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
    _touch(tx, entry)


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
    _touch(tx, entry)


def _touch(tx: AsyncConnection, entry: CatalogueEntry) -> None:
    audit.touch(tx, derived_id("service", entry.code))


def entry_from(row: Row[Any]) -> CatalogueEntry:
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
            ),
        ),
        retired=row.retired,
    )


def _state_columns(entry: CatalogueEntry) -> dict[str, object]:
    defaults = entry.defaults
    return {
        "version": entry.version,
        "name": defaults.name,
        "billing_model": defaults.billing_model,
        "tax_category": defaults.tax_category,
        "template_code": defaults.template_code,
        "milestones": write_milestones(defaults.terms.milestones),
        "anchor_day": defaults.terms.anchor_day,
        "in_advance": defaults.terms.in_advance,
        "markup_percent": defaults.terms.markup_percent,
        "retired": entry.retired,
    }
