"""What credit notes take of invoices: loaded, kept for a draft, given back or made final."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.credit import Claimed, Part
from invoice_payment.domain.credit_note import Taken, line_id_of
from invoice_payment.domain.invoice import CreditApplied, Invoice
from invoice_payment.domain.item import TakenBack, Treatment
from invoice_payment.domain.line import Disposition
from invoice_payment.repository.open_items import ALIVE
from invoice_payment.wire.invoice import DISPOSITIONS
from throughline.invoice_payment.v1 import invoice_pb2
from throughline_core.errors import NotFound
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_runtime.fields import write_money


class CreditNoteNotFound(NotFound):
    """No such credit note."""

    code = "credit_note.not_found"


# What was withdrawn or written off takes nothing back.
_CLAIMS: Final = text(f"""
    SELECT claim.billing_event_id, claim.portion, claim.source_item_id, claim.invoice_line_id,
           claim.quantity, item.unit_rate, claim.currency, claim.amount, claim.recognised_amount,
           item.service_from, item.service_to, claim.credited_quantity, claim.credited_amount,
           claim.credited_recognised,
           EXISTS (
               SELECT FROM billable_item AS item
               WHERE item.reverses_billing_event_id = claim.billing_event_id
                 AND item.billing_event_id <> ALL(CAST(:reversal_ids AS uuid[]))
                 AND NOT EXISTS (
                     SELECT FROM netted_item AS netted
                     WHERE netted.billing_event_id = item.billing_event_id)
                 AND {ALIVE}
           ) AS is_taken_back,
           EXISTS (
               SELECT FROM retracted_item AS retracted
               WHERE retracted.billing_event_id = claim.billing_event_id
                 AND retracted.written_off_version >= item.row_version
           ) AS is_written_off
    FROM invoice_item AS claim JOIN billable_item AS item USING (billing_event_id, portion)
    WHERE claim.invoice_id = :invoice_id AND claim.is_live
    ORDER BY item.service_from, claim.billing_event_id, claim.portion
""")

_TAKEN_NETS: Final = text("""
    SELECT line.credits_line_id, -sum(line.net_amount) AS net
    FROM invoice AS note JOIN invoice_line AS line USING (invoice_id)
    WHERE note.credits_invoice_id = :invoice_id AND note.status <> 'voided'
      AND line.credits_line_id IS NOT NULL
    GROUP BY line.credits_line_id
""")

# What a credit note over open items states is no part of the invoice it names.
_TAKEN_TAX: Final = text("""
    SELECT tax.tax_code, tax.rate_percent, -sum(tax.base_amount) AS base,
           -sum(tax.tax_amount) AS tax
    FROM invoice AS note JOIN invoice_tax AS tax USING (invoice_id)
    WHERE note.credits_invoice_id = :invoice_id AND note.status <> 'voided'
      AND EXISTS (SELECT FROM credit_item WHERE credit_note_id = note.invoice_id)
    GROUP BY tax.tax_code, tax.rate_percent
""")

_RESERVE: Final = text("""
    UPDATE invoice_item AS claim SET
        credited_quantity = claim.credited_quantity + part.quantity,
        credited_amount = claim.credited_amount + part.amount,
        credited_recognised = claim.credited_recognised + part.recognised
    FROM unnest(
        CAST(:billing_event_ids AS uuid[]), CAST(:portions AS integer[]),
        CAST(:quantities AS numeric[]), CAST(:amounts AS numeric[]),
        CAST(:recognised AS numeric[])
    ) AS part (billing_event_id, portion, quantity, amount, recognised)
    WHERE claim.invoice_id = :invoice_id AND claim.billing_event_id = part.billing_event_id
      AND claim.portion = part.portion
""")

_GIVE_UP: Final = text("""
    WITH given_up AS (
        UPDATE credit_item SET is_live = false
        WHERE credit_note_id = :credit_note_id AND is_live
        RETURNING invoice_id, billing_event_id, portion, quantity, amount, recognised_amount
    )
    UPDATE invoice_item AS claim SET
        credited_quantity = claim.credited_quantity - part.quantity,
        credited_amount = claim.credited_amount - part.amount,
        credited_recognised = claim.credited_recognised - part.recognised_amount
    FROM given_up AS part
    WHERE claim.invoice_id = part.invoice_id AND claim.billing_event_id = part.billing_event_id
      AND claim.portion = part.portion
""")

_ITEMS: Final = text("""
    SELECT billing_event_id, source_item_id, invoice_line_id, credit_line_id, quantity, amount,
           currency, disposition
    FROM credit_item WHERE credit_note_id = :credit_note_id AND is_live
    ORDER BY billing_event_id, portion
""")

_GIVEN_UP: Final = text("""
    SELECT billing_event_id, portion FROM credit_item
    WHERE credit_note_id = :credit_note_id AND is_live AND disposition = 'write_off'
""")

# What counts again is billed again, exactly that, as a portion of its own.
_ADD_PORTIONS: Final = """
    INSERT INTO billable_item (
        billing_event_id, batch_id, source_item_id, type, kind, contract_id, contract_line_id,
        quote_line_id, engagement_id, correlation_id, bill_to_customer_id, legal_entity_id,
        project_id, person_id, person_name, role, description, service_from, service_to,
        billable_on, quantity, unit, unit_rate, currency, amount, recognised_amount, tax_category,
        released_at, reverses_billing_event_id, row_version, treatment, purchase_order_number,
        rerating_run_id, portion, returned_by, taken_back_by)
    SELECT item.billing_event_id, item.batch_id, item.source_item_id, item.type, item.kind,
           item.contract_id, item.contract_line_id, item.quote_line_id, item.engagement_id,
           item.correlation_id, item.bill_to_customer_id, item.legal_entity_id, item.project_id,
           item.person_id, item.person_name, item.role, item.description, item.service_from,
           item.service_to, item.billable_on, again.quantity, item.unit, item.unit_rate,
           item.currency, again.amount, again.recognised_amount, item.tax_category,
           item.released_at, item.reverses_billing_event_id, item.row_version, item.treatment,
           item.purchase_order_number, item.rerating_run_id,
           (SELECT max(other.portion) FROM billable_item AS other
            WHERE other.billing_event_id = item.billing_event_id)
               + row_number() OVER (PARTITION BY item.billing_event_id
                                    ORDER BY item.portion, again.credit_note_id),
           again.credit_note_id, again.reversal_id
    FROM again JOIN billable_item AS item USING (billing_event_id, portion)
"""

_RETURN: Final = text(f"""
    WITH again AS (
        SELECT billing_event_id, portion, quantity, amount, recognised_amount, credit_note_id,
               CAST(NULL AS uuid) AS reversal_id
        FROM credit_item
        WHERE credit_note_id = :credit_note_id AND is_live AND disposition = 'return_to_unbilled'
    )
    {_ADD_PORTIONS}
""")

# A row that takes more back than credit notes had left of it was on its way when they were issued.
# Its owner takes them in their order, so that it is the last of them it did not know of.
_RETURN_TAKEN_BACK: Final = text(f"""
    WITH given_up AS (
        SELECT credit.billing_event_id, credit.portion, credit.quantity, credit.amount,
               credit.recognised_amount, credit.credit_note_id,
               reversal.billing_event_id AS reversal_id,
               abs(reversal.quantity) - abs(item.quantity)
                   + sum(abs(credit.quantity)) OVER (PARTITION BY item.billing_event_id) AS unknown,
               sum(abs(credit.quantity)) OVER (
                   PARTITION BY item.billing_event_id
                   ORDER BY note.series_year DESC, note.sequence DESC, credit.portion DESC) AS taken
        FROM billable_item AS reversal
        JOIN billable_item AS item ON item.billing_event_id = reversal.reverses_billing_event_id
         AND item.returned_by IS NULL AND {ALIVE}
        JOIN credit_item AS credit ON credit.billing_event_id = item.billing_event_id
         AND credit.is_live AND credit.disposition = 'write_off'
        JOIN invoice AS note ON note.invoice_id = credit.credit_note_id AND note.number IS NOT NULL
        WHERE reversal.billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
          AND reversal.portion = 0
          AND NOT EXISTS (
              SELECT FROM billable_item AS before
              WHERE before.billing_event_id = item.billing_event_id
                AND before.taken_back_by IS NOT NULL)
    ), again AS (
        SELECT * FROM given_up WHERE taken <= unknown
    )
    {_ADD_PORTIONS}
    RETURNING taken_back_by, legal_entity_id, contract_id, contract_line_id, engagement_id,
              correlation_id, currency, recognised_amount, treatment
""")


async def claims(
    tx: AsyncConnection, invoice_id: UUID, *, reversal_ids: Sequence[UUID] = ()
) -> list[Claimed]:
    """Return what an invoice billed, by day of service, and what credits took of it.

    The rows of `reversal_ids` take items back by the credit that is about to be made.
    """
    values = {"invoice_id": invoice_id, "reversal_ids": list(reversal_ids)}
    return [
        Claimed(
            billing_event_id=row.billing_event_id,
            portion=row.portion,
            source_item_id=row.source_item_id,
            invoice_line_id=row.invoice_line_id,
            quantity=row.quantity,
            unit_rate=Money(row.unit_rate, row.currency),
            amount=Money(row.amount, row.currency),
            recognised=Money(row.recognised_amount, row.currency),
            service=Period(row.service_from, row.service_to),
            credited_quantity=row.credited_quantity,
            credited_amount=Money(row.credited_amount, row.currency),
            credited_recognised=Money(row.credited_recognised, row.currency),
            is_taken_back=row.is_taken_back,
            is_written_off=row.is_written_off,
        )
        for row in await tx.execute(_CLAIMS, values)
    ]


async def taken(tx: AsyncConnection, invoice: Invoice) -> Taken:
    """Return what the credit notes of an invoice state, drafts included."""
    values = {"invoice_id": invoice.invoice_id}
    nets = await tx.execute(_TAKEN_NETS, values)
    groups = await tx.execute(_TAKEN_TAX, values)
    return Taken(
        {row.credits_line_id: Money(row.net, invoice.currency) for row in nets},
        {
            (row.tax_code, Decimal(row.rate_percent)): (
                Money(row.base, invoice.currency),
                Money(row.tax, invoice.currency),
            )
            for row in groups
        },
    )


async def reserve(
    tx: AsyncConnection,
    credit_note: Invoice,
    parts: Sequence[Part],
    *,
    reversals: Mapping[UUID, UUID] | None = None,
) -> None:
    """Keep parts of an invoice for a credit note: no other can take them.

    `reversals` names, by item, the released row that takes it back and that the note stands for.
    """
    assert credit_note.credits is not None, "only a credit note takes parts"
    invoice_id = credit_note.credits.invoice_id
    await tx.execute(
        _RESERVE,
        {
            "invoice_id": invoice_id,
            "billing_event_ids": [part.claim.billing_event_id for part in parts],
            "portions": [part.claim.portion for part in parts],
            "quantities": [part.quantity for part in parts],
            "amounts": [part.amount.amount for part in parts],
            "recognised": [part.recognised.amount for part in parts],
        },
    )
    rows: list[dict[str, Any]] = [
        {
            "credit_note_id": credit_note.invoice_id,
            "invoice_id": invoice_id,
            "billing_event_id": part.claim.billing_event_id,
            "portion": part.claim.portion,
            "source_item_id": part.claim.source_item_id,
            "invoice_line_id": part.claim.invoice_line_id,
            "credit_line_id": line_id_of(
                credit_note.invoice_id, part.claim.invoice_line_id, part.disposition
            ),
            "quantity": part.quantity,
            "currency": part.amount.currency,
            "amount": part.amount.amount,
            "recognised_amount": part.recognised.amount,
            "disposition": part.disposition,
            "reversal_id": (reversals or {}).get(part.claim.billing_event_id),
            "is_live": True,
        }
        for part in parts
    ]
    await tx.execute(insert(tables.credit_item), rows)


async def give_up(tx: AsyncConnection, credit_note_id: UUID) -> None:
    """Let what a voided credit note took be credited again."""
    await tx.execute(_GIVE_UP, {"credit_note_id": credit_note_id})


async def items_of(tx: AsyncConnection, credit_note_id: UUID) -> list[invoice_pb2.CreditedItem]:
    """Return what a credit note takes, by billing event; parts of one on one line are summed."""
    found: dict[tuple[UUID, UUID], list[Any]] = defaultdict(list)
    for row in await tx.execute(_ITEMS, {"credit_note_id": credit_note_id}):
        found[row.billing_event_id, row.credit_line_id].append(row)
    return [
        invoice_pb2.CreditedItem(
            billing_event_id=str(rows[0].billing_event_id),
            source_item_id=str(rows[0].source_item_id),
            invoice_line_id=str(rows[0].invoice_line_id),
            credit_line_id=str(rows[0].credit_line_id),
            quantity=f"{sum((row.quantity for row in rows), Decimal(0)):f}",
            amount=write_money(
                Money.total((Money(row.amount, row.currency) for row in rows), rows[0].currency)
            ),
            disposition=DISPOSITIONS.write(Disposition(rows[0].disposition)),
        )
        for rows in found.values()
    ]


async def given_up(tx: AsyncConnection, credit_note_id: UUID, invoice_id: UUID) -> list[Claimed]:
    """Return what a credit note gives up, as it stands on the invoice by now."""
    found = await tx.execute(_GIVEN_UP, {"credit_note_id": credit_note_id})
    keys = {(row.billing_event_id, row.portion) for row in found}
    if not keys:
        return []
    billed = await claims(tx, invoice_id)
    return [claim for claim in billed if (claim.billing_event_id, claim.portion) in keys]


async def return_items(tx: AsyncConnection, credit_note_id: UUID) -> None:
    """Make what an issued credit note returns billable again."""
    await tx.execute(_RETURN, {"credit_note_id": credit_note_id})


async def return_taken_back(
    tx: AsyncConnection, billing_event_ids: Collection[UUID]
) -> list[TakenBack]:
    """Let what credit notes gave up count again as far as these rows take it back too.

    So the two cancel, and the customer is credited once.
    """
    rows = await tx.execute(_RETURN_TAKEN_BACK, {"billing_event_ids": list(billing_event_ids)})
    return [
        TakenBack(
            reversal_id=row.taken_back_by,
            legal_entity_id=row.legal_entity_id,
            contract_id=row.contract_id,
            contract_line_id=row.contract_line_id,
            engagement_id=row.engagement_id,
            correlation_id=row.correlation_id,
            recognised=Money(row.recognised_amount, row.currency),
            treatment=Treatment(row.treatment),
        )
        for row in rows
    ]


async def add_application(tx: AsyncConnection, applied: CreditApplied) -> None:
    """Store which credit note settled how much of which invoice."""
    await tx.execute(
        insert(tables.credit_application).values(
            credit_application_id=applied.credit_application_id,
            credit_note_id=applied.credit_note.invoice_id,
            invoice_id=applied.invoice.invoice_id,
            currency=applied.amount.currency,
            amount=applied.amount.amount,
            applied_on=applied.applied_on,
        )
    )
