"""Which items can be billed: the conditions every statement that looks for some has in common."""

from typing import Final

# A portion counts while its release was neither taken back nor given up, nor followed by another.
ALIVE: Final = """
    NOT EXISTS (
        SELECT FROM retracted_item AS retracted
        WHERE retracted.billing_event_id = item.billing_event_id
          AND greatest(retracted.withdrawn_version, retracted.written_off_version)
              >= item.row_version)
    AND NOT EXISTS (
        SELECT FROM billable_item AS later
        WHERE later.billing_event_id = item.billing_event_id
          AND later.row_version > item.row_version)
"""

CLAIMED: Final = """
    EXISTS (
        SELECT FROM invoice_item AS claim
        WHERE claim.billing_event_id = item.billing_event_id AND claim.portion = item.portion
          AND claim.is_live)
"""

NETTED: Final = """
    EXISTS (
        SELECT FROM netted_item AS netted
        WHERE netted.billing_event_id = item.billing_event_id AND netted.portion = item.portion)
"""

# A row by which re-rating took another back, to be credited where the contract wants that. What
# takes a credit back asks for money, which no credit note does: it goes on the next invoice.
_RERATED: Final = """
    ({row}.rerating_run_id IS NOT NULL AND {row}.reverses_billing_event_id IS NOT NULL
     AND {row}.amount <= 0)
"""
REBILLED: Final = _RERATED.format(row="item")
_TO_CREDIT: Final = f"""
    {_RERATED} AND EXISTS (
        SELECT FROM contract_terms AS agreed
        WHERE agreed.contract_id = {{row}}.contract_id
          AND agreed.rerating_policy = 'credit_and_rebill')
"""

# Kept back for now: set aside by its owner; taking back what did not arrive yet or was withdrawn,
# with which it may cancel when it comes, or what a credit note takes off its invoice; returned as
# a part of what such a row takes back, until the other parts come and all of it cancels; or
# released anew while an earlier release is still on a document.
KEPT_BACK: Final = f"""
    (EXISTS (
        SELECT FROM item_set_aside AS aside
        WHERE aside.billing_event_id = item.billing_event_id AND aside.until > now())
     OR item.reverses_billing_event_id IS NOT NULL AND (
        NOT EXISTS (
            SELECT FROM billable_item AS original
            WHERE original.billing_event_id = item.reverses_billing_event_id
              AND NOT EXISTS (
                  SELECT FROM retracted_item AS retracted
                  WHERE retracted.billing_event_id = original.billing_event_id
                    AND retracted.withdrawn_version >= original.row_version))
        OR EXISTS (
            SELECT FROM credit_item AS credit
            WHERE credit.reversal_id = item.billing_event_id AND credit.is_live)
        OR {_TO_CREDIT.format(row="item")})
     OR item.returned_by IS NOT NULL AND EXISTS (
        SELECT FROM billable_item AS reversal
        WHERE reversal.reverses_billing_event_id = item.billing_event_id
          AND {_TO_CREDIT.format(row="reversal")})
     OR EXISTS (
        SELECT FROM billable_item AS earlier
        JOIN invoice_item AS claim
          ON claim.billing_event_id = earlier.billing_event_id AND claim.portion = earlier.portion
        WHERE earlier.billing_event_id = item.billing_event_id
          AND earlier.row_version < item.row_version
          AND claim.is_live AND claim.credited_quantity <> claim.quantity))
"""

# A live claim of an issued document that issued credit notes did not take back in full.
STILL_BILLED: Final = """
    claim.is_live AND claim.quantity <> coalesce((
        SELECT sum(credit.quantity) FROM credit_item AS credit
        JOIN invoice AS note ON note.invoice_id = credit.credit_note_id
        WHERE credit.invoice_id = claim.invoice_id
          AND credit.billing_event_id = claim.billing_event_id AND credit.portion = claim.portion
          AND credit.is_live AND note.number IS NOT NULL), 0)
"""

OPEN_ITEM: Final = f"""
    FROM billable_item AS item
    WHERE item.legal_entity_id = :legal_entity_id AND item.billable_on <= :cut_off
      AND item.treatment <> 'drawn'
      AND NOT {CLAIMED} AND NOT {NETTED} AND {ALIVE} AND NOT {KEPT_BACK}
"""
