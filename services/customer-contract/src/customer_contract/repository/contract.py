"""Contracts: where each deal stands, and every version of its terms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, Select, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract_events import ContractEvent
from customer_contract.domain.contract_limit import LineNotFound
from customer_contract.domain.contract_state import NoTermsYet
from customer_contract.domain.contract_terms import Amendment, Contract
from customer_contract.domain.values import ContractId, ContractLineId
from customer_contract.repository import contract_statements as statements
from customer_contract.repository.contract_rows import (
    amendment_columns,
    amendment_from,
    contract_from,
    line_columns,
    state_columns,
    terms_columns,
    terms_parameters,
)
from customer_contract.repository.contract_statements import joined
from customer_contract.repository.number_series import Series, numbering
from customer_contract.wire import contract as wire
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit, outbox
from throughline_runtime.statement import Statement

# Days are the contract's, whose zone the database knows as well as we do.
_DUE: Final = text("""
    SELECT contract_id FROM contract JOIN contract_terms USING (contract_id, contract_version)
    WHERE activate_when_due
      AND GREATEST(start_on, signed_on) <= (CAST(:now AS timestamptz) AT TIME ZONE time_zone)::date
    ORDER BY start_on, contract_id
    LIMIT :at_most
""")


class ContractNotFound(NotFound):
    """There is no contract of this id."""

    code = "contract.not_found"


class VersionNotFound(NotFound):
    """The contract's terms have no such version."""

    code = "contract.version_not_found"


async def get(tx: AsyncConnection, contract_id: ContractId) -> Contract:
    """Return the contract as it stands.

    Raises:
        ContractNotFound: there is none.
    """
    contract = await find(tx, contract_id)
    if contract is None:
        raise ContractNotFound(f"there is no contract {contract_id}", field="contract_id")
    return contract


async def find(tx: AsyncConnection, contract_id: ContractId) -> Contract | None:
    """Return the contract as it stands, None where there is none."""
    contracts = await _with_lines(
        tx, await statements.CURRENT.fetch(tx, {"contract_id": contract_id})
    )
    return contracts[0] if contracts else None


async def get_version(
    tx: AsyncConnection, contract_id: ContractId, contract_version: int
) -> Contract:
    """Return the contract as it stands, with the terms of one of their versions.

    Raises:
        VersionNotFound: the terms have no such version, or there is no contract.
    """
    query = _of_any_version(contract_id).where(
        tables.contract_terms.c.contract_version == contract_version
    )
    contracts = await load(tx, query)
    if not contracts:
        raise VersionNotFound(
            f"there is no version {contract_version} of contract {contract_id}",
            field="contract_version",
        )
    return contracts[0]


async def get_on(
    tx: AsyncConnection, contract_id: ContractId, day: date, *, known_at: datetime | None = None
) -> Contract:
    """Return the contract as it stands, with the terms that hold for `day`.

    With `known_at` those recorded by then; None is everything recorded by now.

    Raises:
        NoTermsYet: no signed terms hold for that day, or there is no contract.
    """
    terms = tables.contract_terms
    query = _of_any_version(contract_id).where(terms.c.effective_on <= day)
    if known_at is not None:
        query = query.where(terms.c.recorded_at <= known_at)
    contracts = await load(tx, query.order_by(terms.c.contract_version.desc()).limit(1))
    if not contracts:
        raise NoTermsYet(f"contract {contract_id} had no signed terms for {day}", field="as_of")
    return contracts[0]


async def history(tx: AsyncConnection, contract_id: ContractId) -> tuple[Contract, ...]:
    """Return the contract as it stands with each version of its terms, oldest first.

    Raises:
        ContractNotFound: there is none.
    """
    query = _of_any_version(contract_id).order_by(tables.contract_terms.c.contract_version)
    versions = await load(tx, query)
    if not versions:
        raise ContractNotFound(f"there is no contract {contract_id}", field="contract_id")
    return tuple(versions)


async def due_for_activation(
    tx: AsyncConnection, now: datetime, *, at_most: int
) -> Sequence[ContractId]:
    """Return signed contracts that come into force by themselves and whose term has begun."""
    rows = await tx.execute(_DUE, {"now": now, "at_most": at_most})
    return [ContractId(contract_id) for contract_id in rows.scalars()]


async def get_by_line(
    tx: AsyncConnection, contract_line_id: ContractLineId, *, known_at: datetime | None = None
) -> Contract:
    """Return the contract of a line, with the last terms recorded by `known_at`, None = now.

    Raises:
        LineNotFound: no contract has had such a line by then.
    """
    terms, line = tables.contract_terms, tables.contract_line
    query = (
        joined()
        .join(
            line,
            (line.c.contract_id == terms.c.contract_id)
            & (line.c.contract_version == terms.c.contract_version),
        )
        .where(line.c.contract_line_id == contract_line_id)
        .order_by(terms.c.contract_version.desc())
        .limit(1)
    )
    if known_at is not None:
        query = query.where(terms.c.recorded_at <= known_at)
    contracts = await load(tx, query)
    if not contracts:
        raise LineNotFound(
            f"there is no contract line {contract_line_id}", field="contract_line_id"
        )
    return contracts[0]


def _of_any_version(contract_id: ContractId) -> Select[Any]:
    return joined().where(tables.contract.c.contract_id == contract_id)


async def load(tx: AsyncConnection, query: Select[Any]) -> list[Contract]:
    """Return the contracts a query made from `current` yields, in its order, with their lines."""
    return await _with_lines(tx, (await tx.execute(query)).all())


async def _with_lines(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Contract]:
    if not rows:
        return []
    lines = await statements.LINES_OF.fetch(
        tx,
        {
            "contract_ids": [row.contract_id for row in rows],
            "contract_versions": [row.contract_version for row in rows],
        },
    )
    by_version: defaultdict[tuple[ContractId, int], list[Row[Any]]] = defaultdict(list)
    for line in lines:
        by_version[line.contract_id, line.contract_version].append(line)
    return [contract_from(row, by_version[row.contract_id, row.contract_version]) for row in rows]


async def add(tx: AsyncConnection, contract: Contract) -> Contract:
    """Write a new draft, and return it under the number it has got.

    Raises:
        StaleVersion: another writer drafted it first.
    """
    written = await statements.ADD.fetch(
        tx,
        {
            **numbering(Series.CONTRACT),
            "engagement_id": contract.engagement_id,
            "correlation_id": contract.correlation_id,
            "quote_id": contract.quote_id,
            **state_columns(contract),
            **terms_parameters(contract),
            **line_columns(contract),
        },
    )
    if not written:
        raise StaleVersion(f"contract {contract.contract_id} was made by another writer")
    audit.touch(tx, contract.contract_id, engagement_id=contract.engagement_id)
    return replace(contract, number=written[0].number)


async def save(tx: AsyncConnection, change: Change[Contract, ContractEvent]) -> None:
    """Write where the contract stands and queue its events; its terms stay as they are.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    await _save_state(tx, change.state)
    await outbox.append(tx, map(wire.write_event, change.events))


async def save_signed(
    tx: AsyncConnection, change: Change[Contract, ContractEvent], *, replaced: int
) -> None:
    """Write the signature, from which on the terms are closed, and queue the events.

    `replaced` is the version decided upon: a signature may put the contract into force as well.

    Raises:
        StaleVersion: the stored row is at another one.
    """
    signed = change.state
    values = {**state_columns(signed), **amendment_columns(signed.amendment)}
    await _move(tx, statements.SAVE_SIGNED, signed, values, replaced=replaced)
    await outbox.append(tx, map(wire.write_event, change.events))


async def save_amended(tx: AsyncConnection, change: Change[Contract, ContractEvent]) -> None:
    """Write the next version of the terms beside the earlier ones and queue the events.

    Raises:
        StaleVersion: see `save`.
    """
    await _save_state(tx, change.state)
    await statements.ADD_TERMS.run(
        tx, {**terms_parameters(change.state), **line_columns(change.state)}
    )
    await outbox.append(tx, map(wire.write_event, change.events))


async def save_draft(tx: AsyncConnection, contract: Contract) -> None:
    """Replace the terms of a draft, lines included.

    Raises:
        StaleVersion: see `save`.
    """
    await _save_state(tx, contract)
    await _save_terms(tx, contract)
    line = tables.contract_line
    await tx.execute(
        delete(line).where(
            line.c.contract_id == contract.contract_id,
            line.c.contract_version == contract.contract_version,
        )
    )
    await statements.ADD_LINES.run(tx, line_columns(contract))


async def versions(tx: AsyncConnection, contract_id: ContractId) -> list[tuple[int, Amendment]]:
    """Return the number of each version of the terms and how it came to be, oldest first."""
    terms = tables.contract_terms
    query = select(terms).where(terms.c.contract_id == contract_id)
    rows = await tx.execute(query.order_by(terms.c.contract_version))
    return [(row.contract_version, amendment_from(row)) for row in rows]


async def _save_state(tx: AsyncConnection, contract: Contract) -> None:
    values = state_columns(contract)
    await _move(tx, statements.SAVE_STATE, contract, values, replaced=contract.version - 1)


async def _move(
    tx: AsyncConnection,
    statement: Statement,
    contract: Contract,
    values: Mapping[str, object],
    *,
    replaced: int,
) -> None:
    moved = {"of_contract": contract.contract_id, "replaced": replaced}
    if await statement.run(tx, {**values, **moved}) != 1:
        raise StaleVersion(f"contract {contract.number} is not at {replaced}")
    audit.touch(tx, contract.contract_id, engagement_id=contract.engagement_id)


async def _save_terms(tx: AsyncConnection, contract: Contract) -> None:
    closed = {"of_contract": contract.contract_id, "of_version": contract.contract_version}
    await statements.SAVE_TERMS.run(tx, {**closed, **terms_columns(contract)})
