"""Control totals: figures that must agree with other services', and with each other."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.repository.open_items import ALIVE
from throughline_runtime.totals import ControlTotal

# Each statement gives rows of figure, currency (empty for counts) and value.
# Released = drawn + (invoiced − credited) + given up by credits + open; what is taken back besides
# is not given up. What was released counts
# once, however many portions of it were billed.
_BILLABLE_ITEMS: Final = f"""
    WITH total AS (
        SELECT item.currency, count(*) AS items, sum(item.amount) AS amount,
               coalesce(sum(item.amount) FILTER (WHERE item.treatment = 'drawn'), 0) AS drawn
        FROM billable_item AS item
        WHERE item.returned_by IS NULL AND {ALIVE} GROUP BY item.currency
    ), invoiced AS (
        SELECT claim.currency, count(*) AS items, sum(claim.amount) AS amount
        FROM invoice_item AS claim JOIN invoice USING (invoice_id)
        WHERE claim.is_live AND invoice.number IS NOT NULL GROUP BY claim.currency
    ), credited AS (
        SELECT credit.currency, sum(credit.amount) AS amount,
               coalesce(sum(credit.amount) FILTER (
                   WHERE credit.disposition = 'write_off'), 0) AS given_up
        FROM credit_item AS credit JOIN invoice AS note
          ON note.invoice_id = credit.credit_note_id
        WHERE credit.is_live AND note.number IS NOT NULL GROUP BY credit.currency
    ), taken_back AS (
        SELECT currency, sum(amount) AS amount FROM billable_item
        WHERE taken_back_by IS NOT NULL GROUP BY currency
    ), given_up AS (
        SELECT item.currency, sum(item.amount) AS amount
        FROM billable_item AS item JOIN retracted_item AS retracted USING (billing_event_id)
        WHERE item.returned_by IS NULL AND retracted.written_off_version >= item.row_version
          AND retracted.withdrawn_version < item.row_version
          AND retracted.undone_version < retracted.written_off_version
          AND NOT EXISTS (
              SELECT FROM billable_item AS later
              WHERE later.billing_event_id = item.billing_event_id
                AND later.row_version > item.row_version)
        GROUP BY item.currency
    ), figure AS (
        SELECT currency, coalesce(total.items, 0) AS items, coalesce(total.amount, 0) AS amount,
               coalesce(total.drawn, 0) AS drawn, coalesce(invoiced.items, 0) AS invoiced_items,
               coalesce(invoiced.amount, 0) AS invoiced, coalesce(credited.amount, 0) AS credited,
               coalesce(credited.given_up, 0) - coalesce(taken_back.amount, 0)
                   AS credited_given_up,
               coalesce(given_up.amount, 0) AS given_up
        FROM total FULL JOIN invoiced USING (currency) FULL JOIN credited USING (currency)
             FULL JOIN given_up USING (currency) LEFT JOIN taken_back USING (currency)
    )
    SELECT 'items', '', coalesce(sum(items), 0) FROM figure
    UNION ALL SELECT 'amount', currency, amount FROM figure
    UNION ALL SELECT 'claimed_live_twice', '', count(*) FROM (
        SELECT FROM invoice_item WHERE is_live
        GROUP BY billing_event_id, portion HAVING count(*) > 1
        UNION ALL
        SELECT FROM invoice_item JOIN netted_item USING (billing_event_id, portion) WHERE is_live
        UNION ALL
        SELECT FROM invoice_item AS claim JOIN billable_item AS item
            USING (billing_event_id, portion)
        WHERE claim.is_live GROUP BY billing_event_id
        HAVING abs(sum(claim.quantity - claim.credited_quantity))
            > max(abs(item.quantity)) FILTER (WHERE item.returned_by IS NULL)
    ) AS twice
    UNION ALL SELECT 'invoiced_items', '', coalesce(sum(invoiced_items), 0) FROM figure
    UNION ALL SELECT 'invoiced_amount', currency, invoiced FROM figure
    UNION ALL SELECT 'credited', currency, credited FROM figure
    UNION ALL SELECT 'credited_given_up', currency, credited_given_up FROM figure
    UNION ALL SELECT 'written_off', currency, given_up FROM figure
    UNION ALL SELECT 'drawn', currency, drawn FROM figure
    UNION ALL SELECT 'open_amount', currency,
        amount - drawn - invoiced + credited - credited_given_up FROM figure
"""

# Invoices and credit notes apart; what is open is what invoices are, less unapplied credit.
_INVOICES: Final = """
    WITH issued AS (
        SELECT currency, count(*) AS documents, sum(net_total) AS net, sum(tax_total) AS tax,
               sum(gross_total) AS gross, sum(paid_total) AS paid, sum(credited_total) AS credited
        FROM invoice WHERE number IS NOT NULL AND document_type = 'invoice' GROUP BY currency
    )
    SELECT 'issued', '', coalesce(sum(documents), 0) FROM issued
    UNION ALL SELECT 'net', currency, net FROM issued
    UNION ALL SELECT 'tax', currency, tax FROM issued
    UNION ALL SELECT 'gross', currency, gross FROM issued
    UNION ALL SELECT 'paid', currency, paid FROM issued
    UNION ALL SELECT 'credited', currency, credited FROM issued
    UNION ALL SELECT 'open', currency, sum(gross_total - paid_total - credited_total)
        FROM invoice WHERE number IS NOT NULL GROUP BY currency
"""

_CREDIT_NOTES: Final = """
    WITH issued AS (
        SELECT currency, count(*) AS documents, -sum(net_total) AS net, -sum(tax_total) AS tax,
               -sum(gross_total) AS gross, -sum(paid_total) AS applied
        FROM invoice WHERE number IS NOT NULL AND document_type = 'credit_note' GROUP BY currency
    )
    SELECT 'issued', '', coalesce(sum(documents), 0) FROM issued
    UNION ALL SELECT 'net', currency, net FROM issued
    UNION ALL SELECT 'tax', currency, tax FROM issued
    UNION ALL SELECT 'gross', currency, gross FROM issued
    UNION ALL SELECT 'applied', currency, applied FROM issued
    UNION ALL SELECT 'unapplied', currency, gross - applied FROM issued
"""

# A series holds 1 to its last number: as many as there are distinct numbers, none above it.
_NUMBER_SERIES: Final = """
    WITH carried AS (
        SELECT legal_entity_id, document_type AS series, series_year AS year, sequence
        FROM invoice WHERE number IS NOT NULL
        UNION ALL
        SELECT legal_entity_id, 'journal_entry', series_year, sequence FROM journal_entry
    ), counted AS (
        SELECT legal_entity_id, series, year, count(*) AS documents,
               count(DISTINCT sequence) AS numbers, max(sequence) AS highest
        FROM carried GROUP BY legal_entity_id, series, year
    )
    SELECT 'series', '', count(*) FROM number_series
    UNION ALL SELECT 'gaps', '', coalesce(sum(
            greatest(coalesce(last_number, 0), coalesce(highest, 0)) - coalesce(numbers, 0)), 0)
        FROM number_series FULL JOIN counted USING (legal_entity_id, series, year)
    UNION ALL SELECT 'repeats', '', coalesce(sum(documents - numbers), 0) FROM counted
"""

_JOURNAL: Final = """
    WITH moved AS (
        SELECT line.account_role, entry.currency, sum(line.debit) - sum(line.credit) AS balance
        FROM journal_line AS line JOIN journal_entry AS entry USING (journal_entry_id)
        GROUP BY line.account_role, entry.currency
    )
    SELECT 'entries', '', count(*) FROM journal_entry
    UNION ALL SELECT 'unbalanced', '', count(*) FROM (
        SELECT FROM journal_entry LEFT JOIN journal_line USING (journal_entry_id)
        GROUP BY journal_entry_id HAVING coalesce(sum(debit) - sum(credit), 1) <> 0
    ) AS unbalanced
    UNION ALL SELECT account_role, currency, balance FROM moved
        WHERE account_role IN ('receivable', 'contract_asset', 'write_off',
                               'intercompany_receivable', 'intercompany_cost')
    UNION ALL SELECT account_role, currency, -balance FROM moved
        WHERE account_role IN ('unapplied_cash', 'revenue', 'contract_liability',
                               'intercompany_revenue', 'intercompany_payable')
    UNION ALL SELECT 'waiting', '', count(*) FROM waiting_entry
"""

# What is released and not billed stands on contract asset, unless a prepayment pays for it.
_RECOGNISED_OPEN: Final = f"""
    SELECT 'amount', item.currency,
           coalesce(sum(item.recognised_amount) FILTER (WHERE invoice.number IS NULL), 0)
    FROM billable_item AS item
    LEFT JOIN invoice_item AS claim
      ON claim.billing_event_id = item.billing_event_id AND claim.portion = item.portion
     AND claim.is_live
    LEFT JOIN invoice ON invoice.invoice_id = claim.invoice_id
    WHERE item.treatment = 'invoiced' AND {ALIVE}
    GROUP BY item.currency
"""

_PAYMENTS: Final = """
    WITH received AS (
        SELECT currency, count(*) AS payments, sum(amount) AS amount, sum(allocated) AS allocated
        FROM payment WHERE status = 'received' GROUP BY currency
    )
    SELECT 'count', '', coalesce(sum(payments), 0) FROM received
    UNION ALL SELECT 'amount', currency, amount FROM received
    UNION ALL SELECT 'allocated', currency, allocated FROM received
    UNION ALL SELECT 'unapplied', currency, amount - allocated FROM received
"""

# A break is a seal that does not follow the one before it, or whose invoice, tax or lines are no
# longer what it says; an issued invoice without one; or a series that ends in another hash.
_ISSUED_CHAIN: Final = """
    WITH chained AS (
        SELECT seal.invoice_id, seal.content_hash, seal.previous_hash,
               lag(seal.content_hash, 1, '') OVER (
                   PARTITION BY seal.legal_entity_id, seal.document_type, seal.series_year
                   ORDER BY seal.sequence) AS hash_before,
               encode(sha256(convert_to(seal.previous_hash || E'\\n' || seal.content, 'UTF8')),
                      'hex') AS hash_now,
               CAST(seal.content AS jsonb) AS content
        FROM invoice_seal AS seal
    ), printed AS (
        SELECT invoice_id, count(*) AS lines, sum(net_amount) AS net
        FROM invoice_line GROUP BY invoice_id
    )
    SELECT 'breaks', '', count(*) FROM invoice
    LEFT JOIN chained USING (invoice_id)
    LEFT JOIN printed USING (invoice_id)
    LEFT JOIN LATERAL (
        SELECT sum(CAST(line ->> 'net' AS numeric)) AS net
        FROM jsonb_array_elements(chained.content -> 'lines') AS line
    ) AS sealed ON true
    CROSS JOIN LATERAL (
        SELECT CASE invoice.document_type WHEN 'credit_note' THEN -1 ELSE 1 END AS of
    ) AS sign
    WHERE invoice.number IS NOT NULL AND (
        chained.hash_now, chained.previous_hash, invoice.content_hash,
        invoice.number, invoice.issued_on, sign.of * invoice.net_total,
        sign.of * invoice.tax_total, sign.of * invoice.gross_total,
        printed.lines, sign.of * printed.net
    ) IS DISTINCT FROM (
        chained.content_hash, chained.hash_before, chained.content_hash,
        chained.content ->> 'number', CAST(chained.content ->> 'issued_on' AS date),
        CAST(chained.content ->> 'net_total' AS numeric),
        CAST(chained.content ->> 'tax_total' AS numeric),
        CAST(chained.content ->> 'gross_total' AS numeric),
        CAST(jsonb_array_length(chained.content -> 'lines') AS bigint), sealed.net
    )
    UNION ALL
    SELECT 'breaks', '', count(*) FROM number_series AS series
    WHERE series.series <> 'journal_entry' AND series.last_number > 0 AND NOT EXISTS (
        SELECT FROM invoice_seal AS seal
        WHERE seal.legal_entity_id = series.legal_entity_id AND seal.series_year = series.year
          AND seal.document_type = series.series AND seal.sequence = series.last_number
          AND seal.content_hash = series.last_hash
    )
"""

_TOTALS: Final = {
    "billable_items": text(_BILLABLE_ITEMS),
    "invoices": text(_INVOICES),
    "credit_notes": text(_CREDIT_NOTES),
    "number_series": text(_NUMBER_SERIES),
    "journal": text(_JOURNAL),
    "recognised_open": text(_RECOGNISED_OPEN),
    "payments": text(_PAYMENTS),
    "issued_chain": text(_ISSUED_CHAIN),
}

# They read whole tables: longer than a request may take.
_PATIENCE: Final = text("SET LOCAL statement_timeout = '60s'")


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    """Return the service's control totals; amounts are named `<figure>.<currency>`."""
    await tx.execute(_PATIENCE)
    totals = []
    for name, statement in _TOTALS.items():
        figures: dict[str, Decimal | int] = {}
        for figure, currency, value in await tx.execute(statement):
            key = f"{figure}.{currency}" if currency else figure
            number = Decimal(value or 0)
            figures[key] = figures.get(key, 0) + (number if currency else int(number))
        totals.append(ControlTotal(name, figures))
    return totals
