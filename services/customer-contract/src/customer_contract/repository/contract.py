"""Contracts: where each deal stands, and every version of its terms."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, Select, delete, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract import ContractEvent, NoTermsYet
from customer_contract.domain.contract_limit import LineNotFound
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    InvoiceGrouping,
    LineDetail,
    Signature,
)
from customer_contract.domain.values import (
    ContractId,
    ContractLineId,
    CustomerId,
    LegalEntityId,
    QuoteId,
)
from customer_contract.repository.service_line import (
    insert_lines_sql,
    insert_sql,
    line_from,
    line_values,
)
from customer_contract.wire import contract as wire
from throughline_core.change import Change
from throughline_core.errors import NotFound, StaleVersion
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime import audit, outbox

_LINES: Final = insert_lines_sql(
    tables.contract_line,
    keys=("contract_id", "contract_version"),
)
_ADD: Final = text(f"""
    WITH written AS (
        {insert_sql(tables.contract)} ON CONFLICT DO NOTHING RETURNING contract_id
    ), terms AS (
        {insert_sql(tables.contract_terms)} WHERE EXISTS (SELECT FROM written)
    )
    {_LINES} WHERE EXISTS (SELECT FROM written)
""")
_ADD_TERMS: Final = text(f"WITH terms AS ({insert_sql(tables.contract_terms)}) {_LINES}")
_ADD_LINES: Final = text(_LINES)


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
    contracts = await load(tx, current().where(tables.contract.c.contract_id == contract_id))
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


async def get_on(tx: AsyncConnection, contract_id: ContractId, day: date) -> Contract:
    """Return the contract as it stands, with the terms in force on `day`.

    Raises:
        NoTermsYet: nothing was signed by then, or there is no contract.
    """
    terms = tables.contract_terms
    query = _of_any_version(contract_id).where(terms.c.effective_on <= day)
    contracts = await load(tx, query.order_by(terms.c.contract_version.desc()).limit(1))
    if not contracts:
        raise NoTermsYet(f"contract {contract_id} had no signed terms on {day}", field="as_of")
    return contracts[0]


async def get_by_line(
    tx: AsyncConnection, contract_line_id: ContractLineId, *, known_at: datetime | None = None
) -> Contract:
    """Return the contract of a line, with the last terms recorded by `known_at`, None = now.

    Raises:
        LineNotFound: no contract has had such a line by then.
    """
    terms, line = tables.contract_terms, tables.contract_line
    query = (
        _joined()
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


def current() -> Select[Any]:
    """Return the query over all contracts, each joined to its present terms."""
    contract, terms = tables.contract, tables.contract_terms
    return _joined().where(terms.c.contract_version == contract.c.contract_version)


def _of_any_version(contract_id: ContractId) -> Select[Any]:
    return _joined().where(tables.contract.c.contract_id == contract_id)


def _joined() -> Select[Any]:
    contract, terms = tables.contract, tables.contract_terms
    columns = [column for column in terms.c if column.name not in contract.c]
    present = [column for column in contract.c if column.name != "contract_version"]
    return select(*present, terms.c.contract_version, *columns).join(
        terms, terms.c.contract_id == contract.c.contract_id
    )


async def load(tx: AsyncConnection, query: Select[Any]) -> list[Contract]:
    """Return the contracts a query made from `current` yields, in its order, with their lines."""
    rows = (await tx.execute(query)).all()
    if not rows:
        return []
    table = tables.contract_line
    keys = [(row.contract_id, row.contract_version) for row in rows]
    lines = await tx.execute(
        select(table)
        .where(tuple_(table.c.contract_id, table.c.contract_version).in_(keys))
        .order_by(table.c.contract_id, table.c.position)
    )
    by_contract: defaultdict[ContractId, list[Row[Any]]] = defaultdict(list)
    for line in lines:
        by_contract[line.contract_id].append(line)
    return [_contract_from(row, by_contract[row.contract_id]) for row in rows]


async def add(tx: AsyncConnection, contract: Contract) -> None:
    """Write a new draft.

    Raises:
        StaleVersion: another writer drafted it first.
    """
    written = await tx.execute(
        _ADD,
        {
            "number": contract.number,
            "engagement_id": contract.engagement_id,
            "correlation_id": contract.correlation_id,
            "quote_id": contract.quote_id,
            **_state_columns(contract),
            **_terms_columns(contract),
            **_line_columns(contract),
        },
    )
    if written.rowcount != len(contract.lines):
        raise StaleVersion(f"contract {contract.contract_id} was made by another writer")
    audit.touch(tx, contract.contract_id, engagement_id=contract.engagement_id)


async def save(tx: AsyncConnection, change: Change[Contract, ContractEvent]) -> None:
    """Write where the contract stands and queue its events; its terms stay as they are.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    await _save_state(tx, change.state)
    await outbox.append(tx, map(wire.write_event, change.events))


async def save_signed(tx: AsyncConnection, change: Change[Contract, ContractEvent]) -> None:
    """Write the signature, from which on the terms are closed, and queue the events.

    Raises:
        StaleVersion: see `save`.
    """
    await _save_state(tx, change.state)
    await _save_terms(tx, change.state)
    await outbox.append(tx, map(wire.write_event, change.events))


async def save_amended(tx: AsyncConnection, change: Change[Contract, ContractEvent]) -> None:
    """Write the next version of the terms beside the earlier ones and queue the events.

    Raises:
        StaleVersion: see `save`.
    """
    await _save_state(tx, change.state)
    values = {**_terms_columns(change.state), **_line_columns(change.state)}
    await tx.execute(_ADD_TERMS, values)
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
    await tx.execute(_ADD_LINES, _line_columns(contract))


async def versions(tx: AsyncConnection, contract_id: ContractId) -> list[tuple[int, Amendment]]:
    """Return the number of each version of the terms and how it came to be, oldest first."""
    terms = tables.contract_terms
    query = select(terms).where(terms.c.contract_id == contract_id)
    rows = await tx.execute(query.order_by(terms.c.contract_version))
    return [(row.contract_version, _amendment_from(row)) for row in rows]


async def _save_state(tx: AsyncConnection, contract: Contract) -> None:
    table = tables.contract
    written = await tx.execute(
        update(table)
        .where(table.c.contract_id == contract.contract_id)
        .where(table.c.version == contract.version - 1)
        .values(_state_columns(contract))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"contract {contract.number} is not at {contract.version - 1}")
    audit.touch(tx, contract.contract_id, engagement_id=contract.engagement_id)


async def _save_terms(tx: AsyncConnection, contract: Contract) -> None:
    table = tables.contract_terms
    await tx.execute(
        update(table)
        .where(table.c.contract_id == contract.contract_id)
        .where(table.c.contract_version == contract.contract_version)
        .values(_terms_columns(contract))
    )


def _state_columns(contract: Contract) -> dict[str, object]:
    signature = contract.signature
    return {
        "version": contract.version,
        "contract_version": contract.contract_version,
        "status": contract.status,
        "quote_version": contract.quote_version,
        "customer_id": contract.customer_id,
        "legal_entity_id": contract.legal_entity_id,
        "currency": contract.currency,
        "time_zone": contract.time_zone,
        "document_sha256": signature and signature.document_sha256,
        "signatory": signature and signature.signatory,
        "signed_on": signature and signature.signed_on,
        "activated_on": contract.activated_on,
        "terminated_on": contract.terminated_on,
        "termination_reason": contract.termination_reason,
    }


def _terms_columns(contract: Contract) -> dict[str, object]:
    billing, amendment = contract.billing, contract.amendment
    return {
        "contract_id": contract.contract_id,
        "contract_version": contract.contract_version,
        "start_on": contract.start_on,
        "end_on": contract.end_on,
        "bill_to_customer_id": billing.bill_to_customer_id,
        "payment_terms_days": billing.payment_terms_days,
        "purchase_order_number": billing.purchase_order_number,
        "not_to_exceed": billing.not_to_exceed and billing.not_to_exceed.amount,
        "invoice_grouping": billing.invoice_grouping,
        "line_detail": billing.line_detail,
        "time_rounding_minutes": billing.time_rounding.increment_minutes,
        "time_rounding_mode": billing.time_rounding.mode,
        "rate_card_id": billing.rate_card_id,
        "effective_on": amendment.effective_on,
        "reason": amendment.reason,
        "recorded_by": amendment.recorded_by,
        "recorded_at": amendment.recorded_at,
    }


def _line_columns(contract: Contract) -> dict[str, object]:
    return {
        "contract_id": contract.contract_id,
        "contract_version": contract.contract_version,
        "line_contract_line_id": [line.contract_line_id for line in contract.lines],
        **line_values([line.terms for line in contract.lines]),
    }


def _contract_from(row: Row[Any], lines: Iterable[Row[Any]]) -> Contract:
    return Contract(
        contract_id=ContractId(row.contract_id),
        version=row.version,
        contract_version=row.contract_version,
        number=row.number,
        status=ContractStatus(row.status),
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        quote_id=QuoteId(row.quote_id),
        quote_version=row.quote_version,
        customer_id=CustomerId(row.customer_id),
        legal_entity_id=LegalEntityId(row.legal_entity_id),
        currency=row.currency,
        time_zone=row.time_zone,
        start_on=row.start_on,
        end_on=row.end_on,
        lines=tuple(
            ContractLine(ContractLineId(line.contract_line_id), line_from(line, row.currency))
            for line in lines
        ),
        billing=_billing_from(row),
        amendment=_amendment_from(row),
        signature=(
            None
            if row.signed_on is None
            else Signature(row.document_sha256, row.signatory, row.signed_on)
        ),
        activated_on=row.activated_on,
        terminated_on=row.terminated_on,
        termination_reason=row.termination_reason,
    )


def _billing_from(row: Row[Any]) -> BillingProfile:
    limit = row.not_to_exceed
    return BillingProfile(
        bill_to_customer_id=CustomerId(row.bill_to_customer_id),
        payment_terms_days=row.payment_terms_days,
        purchase_order_number=row.purchase_order_number,
        not_to_exceed=None if limit is None else Money(limit, row.currency),
        invoice_grouping=InvoiceGrouping(row.invoice_grouping),
        line_detail=LineDetail(row.line_detail),
        time_rounding=TimeRounding(row.time_rounding_minutes, RoundingMode(row.time_rounding_mode)),
        rate_card_id=row.rate_card_id,
    )


def _amendment_from(row: Row[Any]) -> Amendment:
    return Amendment(row.recorded_by, row.recorded_at, row.effective_on, row.reason)
