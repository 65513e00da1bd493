"""Finds open items and claims them for drafts, summed into lines by the database."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.draft import LineItems
from invoice_payment.domain.item import ItemType, Treatment
from invoice_payment.domain.reversal import Reversal
from invoice_payment.domain.run import InvoiceRun
from invoice_payment.repository.invoice import treatments_from
from invoice_payment.repository.open_items import OPEN_ITEM
from throughline_core.money import Money
from throughline_core.period import Period

_COUNT_CONTRACTS: Final = text(f"""
    SELECT count(DISTINCT item.contract_id) {OPEN_ITEM}
      AND (CAST(:all AS boolean) OR item.contract_id = ANY(CAST(:contract_ids AS uuid[])))
""")

_NEXT_CONTRACTS: Final = text(f"""
    WITH found AS MATERIALIZED (
        SELECT item.contract_id, count(*) AS item_count,
               array_agg(DISTINCT item.bill_to_customer_id) AS customer_ids,
               array_agg(DISTINCT item.currency) AS currencies
        {OPEN_ITEM}
          AND (CAST(:all AS boolean) OR item.contract_id = ANY(CAST(:contract_ids AS uuid[])))
          AND item.contract_id > :after
        GROUP BY item.contract_id ORDER BY item.contract_id LIMIT :limit
    )
    SELECT contract_id, item_count,
           CASE WHEN terms.contract_id IS NULL THEN 'contract_unknown'
                WHEN EXISTS (
                    SELECT FROM unnest(found.customer_ids) AS wanted (customer_id)
                    WHERE NOT EXISTS (
                        SELECT FROM customer WHERE customer.customer_id = wanted.customer_id)
                ) THEN 'customer_unknown'
                WHEN found.currencies <> ARRAY[terms.currency] THEN 'currency_differs'
           END AS wait
    FROM found LEFT JOIN contract_terms AS terms USING (contract_id)
    ORDER BY contract_id
""")

# Items of one line have these in common; a line has what is summed or taken first below.
_LINE_KEY: Final = """
    document_key, bill_to_customer_id, contract_id, contract_line_id, quote_line_id, type, unit,
    unit_rate, currency, tax_category, treatment, purchase_order_number, detail_key
"""
_LINE_SUMS: Final = """
    invoice_line_id, quantity, recognised_amount, service_from, service_to, item_count, role,
    person_name, description
"""

_GROUP: Final = f"""
    WITH chosen AS MATERIALIZED (
        SELECT item.billing_event_id, item.portion, item.source_item_id, item.contract_id,
               item.contract_line_id, item.quote_line_id, item.bill_to_customer_id, item.type,
               item.unit, item.unit_rate, item.currency, item.tax_category, item.quantity,
               item.amount, item.recognised_amount, item.service_from, item.service_to, item.role,
               item.person_name, item.description, item.treatment, item.purchase_order_number,
               CASE WHEN terms.invoice_grouping = 'contract_line' AND NOT CAST(:whole AS boolean)
                    THEN item.contract_line_id ELSE item.contract_id
               END AS document_key,
               CASE WHEN item.type <> 'time' THEN item.description
                    WHEN terms.line_detail = 'role' THEN item.role
                    WHEN terms.line_detail = 'person'
                        THEN item.role || coalesce(CAST(item.person_id AS text), item.person_name)
                    ELSE CAST(item.billing_event_id AS text)
               END COLLATE "C" AS detail_key
        FROM contract_terms AS terms, LATERAL (
            SELECT item.* {OPEN_ITEM} AND item.contract_id = terms.contract_id
              AND item.currency = terms.currency
              AND item.billing_event_id <> ALL(CAST(:apart AS uuid[]))
              AND (CAST(:only AS uuid[]) IS NULL
                   OR item.billing_event_id = ANY(CAST(:only AS uuid[])))
              AND EXISTS (
                  SELECT FROM customer WHERE customer.customer_id = item.bill_to_customer_id)
        ) AS item
        WHERE terms.contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ), document AS MATERIALIZED (
        SELECT document_key, bill_to_customer_id, is_owed, uuidv7() AS invoice_id FROM (
            SELECT document_key, bill_to_customer_id, sum(amount) >= 0 AS is_owed
            FROM chosen GROUP BY document_key, bill_to_customer_id
        ) AS key
    ), line AS MATERIALIZED (
        SELECT {_LINE_KEY}, uuidv7() AS invoice_line_id, sum(quantity) AS quantity,
               sum(recognised_amount) AS recognised_amount, min(service_from) AS service_from,
               max(service_to) AS service_to, count(*) AS item_count, min(role) AS role,
               min(person_name) AS person_name, min(description) AS description,
               array_agg(billing_event_id) AS billing_event_ids, array_agg(portion) AS portions,
               array_agg(source_item_id) AS source_item_ids,
               array_agg(quantity) AS quantities, array_agg(amount) AS amounts,
               array_agg(recognised_amount) AS recognised_amounts
        FROM chosen GROUP BY {_LINE_KEY}
    )
"""

_OWED: Final = "document.is_owed"
_CREDIT: Final = (
    "NOT document.is_owed AND document.bill_to_customer_id = CAST(:customer_id AS uuid)"
)

# Each line brings the items it sums: to join them again on so many keys would be far slower.
_CLAIM: Final = """
    , claimed AS (
        INSERT INTO invoice_item (invoice_id, billing_event_id, portion, invoice_line_id,
                                  source_item_id, quantity, currency, amount, recognised_amount,
                                  is_live)
        SELECT document.invoice_id, item.billing_event_id, item.portion, line.invoice_line_id,
               item.source_item_id, item.quantity, line.currency, item.amount,
               item.recognised_amount, true
        FROM line JOIN document USING (document_key, bill_to_customer_id), unnest(
            line.billing_event_ids, line.portions, line.source_item_ids, line.quantities,
            line.amounts, line.recognised_amounts
        ) AS item (billing_event_id, portion, source_item_id, quantity, amount, recognised_amount)
        WHERE {which}
    )
"""

_LINES: Final = f"""
    SELECT document.invoice_id, document.is_owed, {_LINE_KEY}, {_LINE_SUMS}
    FROM line JOIN document USING (document_key, bill_to_customer_id)
    ORDER BY line.contract_id, document.invoice_id
"""

_PREVIEW: Final = text(_GROUP + _LINES)
_CLAIM_LINES: Final = text(_GROUP + _CLAIM.format(which=_OWED) + _LINES)
_CLAIM_CREDIT: Final = text(_GROUP + _CLAIM.format(which=_CREDIT) + _LINES)

# What a later invoice billed again counts, not what a credit note gave back before.
_REVERSALS: Final = text(f"""
    SELECT DISTINCT item.billing_event_id, item.contract_id, item.contract_line_id,
           item.bill_to_customer_id, item.tax_category, invoice.invoice_id, invoice.number,
           invoice.treatments -> item.tax_category AS treatment
    FROM (SELECT item.* {OPEN_ITEM} AND item.reverses_billing_event_id IS NOT NULL
            AND item.amount < 0 AND item.contract_id = ANY(CAST(:contract_ids AS uuid[]))) AS item
    JOIN invoice_item AS claim ON claim.billing_event_id = item.reverses_billing_event_id
     AND claim.is_live AND claim.credited_quantity <> claim.quantity
    JOIN invoice ON invoice.invoice_id = claim.invoice_id AND invoice.number IS NOT NULL
     AND invoice.document_type = 'invoice'
    WHERE invoice.treatments -> item.tax_category IS NOT NULL
    ORDER BY invoice.number, item.billing_event_id
""")

# Any day a service can end on, and more: what is credited is not cut off.
LAST_DAY: Final = date.max


class Wait(StrEnum):
    """Why a contract's items cannot all be drafted yet."""

    CONTRACT_UNKNOWN = "contract_unknown"
    CUSTOMER_UNKNOWN = "customer_unknown"
    CURRENCY_DIFFERS = "currency_differs"
    NET_NEGATIVE = "net_negative"
    TAXED_OTHERWISE = "taxed_otherwise"


@dataclass(frozen=True, slots=True)
class OpenContract:
    """A contract with items to bill, and why some of them have to wait, if any do."""

    contract_id: UUID
    item_count: int
    wait: Wait | None


@dataclass(frozen=True, slots=True)
class DocumentItems:
    """What becomes one invoice: its lines' items, of one contract and bill-to customer.

    Not if it is not `is_owed`: then the items sum to less than nothing and are not claimed.
    """

    invoice_id: UUID
    contract_id: UUID
    bill_to_customer_id: UUID
    is_owed: bool
    lines: tuple[LineItems, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which open items are looked at: an entity's up to a cut-off; None = of all contracts."""

    legal_entity_id: UUID
    cut_off: date
    contract_ids: tuple[UUID, ...] | None = None

    @classmethod
    def of(cls, run: InvoiceRun) -> "Scope":
        """Return the scope of a run."""
        contract_ids = run.retried_contract_ids
        if contract_ids is None:
            contract_ids = run.contract_ids or None
        return cls(run.legal_entity_id, run.cut_off, contract_ids)

    @property
    def values(self) -> dict[str, object]:
        """The parameters of the statements that look for contracts."""
        return {
            "legal_entity_id": self.legal_entity_id,
            "cut_off": self.cut_off,
            "all": self.contract_ids is None,
            "contract_ids": list(self.contract_ids or ()),
        }


async def count_contracts(tx: AsyncConnection, scope: Scope) -> int:
    """Return how many contracts have something to bill."""
    return int((await tx.execute(_COUNT_CONTRACTS, scope.values)).scalar_one())


async def next_contracts(
    tx: AsyncConnection, scope: Scope, *, after: UUID | None, limit: int
) -> list[OpenContract]:
    """Return contracts with something to bill, by id, at most `limit` past `after`."""
    values = {**scope.values, "after": after or UUID(int=0), "limit": limit}
    return [
        OpenContract(row.contract_id, row.item_count, Wait(row.wait) if row.wait else None)
        for row in await tx.execute(_NEXT_CONTRACTS, values)
    ]


async def invoiced_reversals(
    tx: AsyncConnection, scope: Scope, contract_ids: Sequence[UUID]
) -> list[Reversal]:
    """Return the open items of these contracts that give back what invoices still bill."""
    rows = await tx.execute(_REVERSALS, {**scope.values, "contract_ids": list(contract_ids)})
    return [
        Reversal(
            billing_event_id=row.billing_event_id,
            contract_id=row.contract_id,
            contract_line_id=row.contract_line_id,
            bill_to_customer_id=row.bill_to_customer_id,
            tax_category=row.tax_category,
            invoice_id=row.invoice_id,
            invoice_number=row.number,
            treatment=treatments_from({row.tax_category: row.treatment})[row.tax_category],
        )
        for row in rows
    ]


async def claim(
    tx: AsyncConnection,
    scope: Scope,
    contract_ids: Sequence[UUID],
    *,
    apart: Collection[UUID],
) -> list[DocumentItems]:
    """Claim all open items of the contracts, whose terms the caller has locked: one statement.

    Those that are to stay `apart` are left open.
    What sums to less than nothing is told, but not claimed.
    The claims name invoices and lines that `add_drafts` has to write in the same transaction.
    """
    return await _documents(tx, _CLAIM_LINES, scope, contract_ids, apart)


async def claim_credit(
    tx: AsyncConnection,
    scope: Scope,
    contract_id: UUID,
    customer_id: UUID,
    *,
    apart: Collection[UUID],
    only: Collection[UUID] | None = None,
) -> DocumentItems | None:
    """Claim all open items of a contract and payer that sum to less than nothing, as one document.

    Those that are to stay `apart` are left open, and with `only` all but these. The caller has
    locked the terms. None, and nothing is claimed, when there is no such sum.
    """
    values = {
        "legal_entity_id": scope.legal_entity_id,
        "cut_off": scope.cut_off,
        "contract_ids": [contract_id],
        "apart": list(apart),
        "only": None if only is None else list(only),
        "customer_id": customer_id,
        "whole": True,
    }
    rows = await tx.execute(_CLAIM_CREDIT, values)
    found = [
        each
        for each in _documents_from(rows.all())
        if not each.is_owed and each.bill_to_customer_id == customer_id
    ]
    return found[0] if found else None


async def preview(
    tx: AsyncConnection,
    scope: Scope,
    contract_ids: Sequence[UUID],
    *,
    apart: Collection[UUID] = (),
) -> list[DocumentItems]:
    """Return what `claim` would give now, and claim nothing."""
    return await _documents(tx, _PREVIEW, scope, contract_ids, apart)


async def _documents(
    tx: AsyncConnection,
    statement: TextClause,
    scope: Scope,
    contract_ids: Sequence[UUID],
    apart: Collection[UUID],
) -> list[DocumentItems]:
    rows = await tx.execute(
        statement,
        {
            "legal_entity_id": scope.legal_entity_id,
            "cut_off": scope.cut_off,
            "contract_ids": list(contract_ids),
            "apart": list(apart),
            "only": None,
            "whole": False,
        },
    )
    return list(_documents_from(rows.all()))


def _documents_from(rows: Sequence[Row[Any]]) -> Iterator[DocumentItems]:
    for invoice_id, group in groupby(rows, key=lambda row: row.invoice_id):
        lines = list(group)
        yield DocumentItems(
            invoice_id=invoice_id,
            contract_id=lines[0].contract_id,
            bill_to_customer_id=lines[0].bill_to_customer_id,
            is_owed=lines[0].is_owed,
            lines=tuple(map(_line_items_from, lines)),
        )


def _line_items_from(row: Row[Any]) -> LineItems:
    return LineItems(
        invoice_line_id=row.invoice_line_id,
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        type=ItemType(row.type),
        quantity=row.quantity,
        unit=row.unit,
        unit_rate=Money(row.unit_rate, row.currency),
        tax_category=row.tax_category,
        recognised=Money(row.recognised_amount, row.currency),
        service=Period(row.service_from, row.service_to),
        item_count=row.item_count,
        role=row.role,
        person_name=row.person_name,
        description=row.description,
        treatment=Treatment(row.treatment),
        purchase_order_number=row.purchase_order_number,
    )
