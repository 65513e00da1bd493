"""Control totals: figures that must agree with other services', and with each other."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.totals import ControlTotal

# Each statement gives rows of figure, currency (empty for counts) and value.
_BILLABLE_ITEMS: Final = """
    WITH invoiced AS (
        SELECT claim.currency, count(*) AS items, sum(claim.amount) AS amount
        FROM invoice_item AS claim JOIN invoice USING (invoice_id)
        WHERE claim.is_live AND invoice.number IS NOT NULL GROUP BY claim.currency
    ), total AS (
        SELECT currency, count(*) AS items, sum(amount) AS amount
        FROM billable_item GROUP BY currency
    )
    SELECT 'items', '', coalesce(sum(items), 0) FROM total
    UNION ALL SELECT 'amount', currency, amount FROM total
    UNION ALL SELECT 'claimed_live_twice', '', count(*) FROM (
        SELECT FROM invoice_item WHERE is_live GROUP BY billing_event_id HAVING count(*) > 1
        UNION ALL
        SELECT FROM invoice_item JOIN netted_item USING (billing_event_id) WHERE is_live
    ) AS twice
    UNION ALL SELECT 'invoiced_items', '', coalesce(sum(items), 0) FROM invoiced
    UNION ALL SELECT 'invoiced_amount', total.currency, coalesce(invoiced.amount, 0)
        FROM total LEFT JOIN invoiced USING (currency)
    UNION ALL SELECT 'open_amount', total.currency, total.amount - coalesce(invoiced.amount, 0)
        FROM total LEFT JOIN invoiced USING (currency)
"""

_INVOICES: Final = """
    WITH issued AS (
        SELECT currency, count(*) AS documents, sum(net_total) AS net, sum(tax_total) AS tax,
               sum(gross_total) AS gross, sum(paid_total) AS paid
        FROM invoice WHERE number IS NOT NULL GROUP BY currency
    )
    SELECT 'issued', '', coalesce(sum(documents), 0) FROM issued
    UNION ALL SELECT 'net', currency, net FROM issued
    UNION ALL SELECT 'tax', currency, tax FROM issued
    UNION ALL SELECT 'gross', currency, gross FROM issued
    UNION ALL SELECT 'paid', currency, paid FROM issued
    UNION ALL SELECT 'open', currency, gross - paid FROM issued
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
        WHERE account_role IN ('receivable', 'contract_asset')
    UNION ALL SELECT account_role, currency, -balance FROM moved
        WHERE account_role IN ('unapplied_cash', 'revenue')
"""

_RECOGNISED_OPEN: Final = """
    SELECT 'amount', item.currency,
           sum(item.recognised_amount) FILTER (WHERE invoice.number IS NULL)
    FROM billable_item AS item
    LEFT JOIN invoice_item AS claim
        ON claim.billing_event_id = item.billing_event_id AND claim.is_live
    LEFT JOIN invoice ON invoice.invoice_id = claim.invoice_id
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
    WHERE invoice.number IS NOT NULL AND (
        chained.hash_now, chained.previous_hash, invoice.content_hash,
        invoice.number, invoice.issued_on, invoice.net_total,
        invoice.tax_total, invoice.gross_total,
        printed.lines, printed.net
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
    WHERE series.series = 'invoice' AND series.last_number > 0 AND NOT EXISTS (
        SELECT FROM invoice_seal AS seal
        WHERE seal.legal_entity_id = series.legal_entity_id AND seal.series_year = series.year
          AND seal.document_type = series.series AND seal.sequence = series.last_number
          AND seal.content_hash = series.last_hash
    )
"""

_TOTALS: Final = {
    "billable_items": text(_BILLABLE_ITEMS),
    "invoices": text(_INVOICES),
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
