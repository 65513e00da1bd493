"""What credit notes take in parts: the last takes what rounding left, however much that is."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0013"
down_revision = "0012"

_CHECKS = """
-- What is billed is quantity times rate, rounded once. What is credited is so too, but for the
-- last credit of a line: in a currency without decimals many parts leave it more than a unit. The
-- trigger below holds credits to the line as a whole instead.
ALTER TABLE invoice_line
    DROP CONSTRAINT invoice_line_check,
    ADD CONSTRAINT invoice_line_net_check CHECK (
        credits_line_id IS NOT NULL OR abs(net_amount - quantity * unit_rate) <= 0.5);

-- Likewise for what a credit note gives back; the parts of a claim sum to it, in the books too.
ALTER TABLE billable_item
    DROP CONSTRAINT billable_item_recognised_check,
    ADD CONSTRAINT billable_item_recognised_check CHECK (
        returned_by IS NOT NULL OR abs(recognised_amount - amount) <= 0.5);
ALTER TABLE invoice_item
    DROP CONSTRAINT invoice_item_creditable,
    ADD CONSTRAINT invoice_item_creditable CHECK (
        credited_quantity * quantity >= 0 AND abs(credited_quantity) <= abs(quantity)
        AND (credited_quantity <> quantity OR credited_quantity = 0
             OR credited_amount = amount AND credited_recognised = recognised_amount));

-- Work billed at nothing is credited too, to be billed at its price.
ALTER TABLE invoice
    DROP CONSTRAINT invoice_credits_check,
    ADD CONSTRAINT invoice_credits_check CHECK (
        (document_type = 'credit_note') = (credits_invoice_id IS NOT NULL)
        AND (document_type = 'credit_note') = (run_id IS NULL)
        AND (document_type = 'credit_note') = (credits_issued_on IS NOT NULL)
        AND (document_type = 'credit_note') = (credits_number <> '')
        AND (document_type = 'credit_note') = (credit_reason <> '')
        AND (document_type = 'invoice' OR gross_total <= 0));
"""

_GUARD = """
-- Once nothing is left of a line, its credits sum to it to the cent.
CREATE FUNCTION refuse_credits_off_their_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    off uuid;
BEGIN
    WITH touched AS (
        SELECT DISTINCT invoice_id, invoice_line_id FROM added
    ), stated AS (
        SELECT credit.credits_line_id AS invoice_line_id, -sum(credit.net_amount) AS net_amount
        FROM invoice AS note JOIN invoice_line AS credit USING (invoice_id)
        WHERE note.credits_invoice_id IN (SELECT invoice_id FROM touched)
          AND note.status <> 'voided'
        GROUP BY credit.credits_line_id
    )
    SELECT line.invoice_line_id INTO off
    FROM touched JOIN invoice_line AS line USING (invoice_id, invoice_line_id)
    LEFT JOIN stated USING (invoice_line_id)
    WHERE line.net_amount IS DISTINCT FROM stated.net_amount
      AND NOT EXISTS (
        SELECT FROM invoice_item AS claim
        WHERE claim.invoice_id = touched.invoice_id AND claim.is_live
          AND claim.invoice_line_id = touched.invoice_line_id
          AND claim.credited_quantity <> claim.quantity)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the credits of line % do not sum to it', off
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER credits_sum_to_their_line AFTER INSERT ON credit_item REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_credits_off_their_line();
"""


def upgrade() -> None:
    run_sql(op, _CHECKS)
    run_sql(op, _GUARD)
