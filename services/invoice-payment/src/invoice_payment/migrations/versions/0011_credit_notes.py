"""Credit notes: documents that take issued invoices back, and what is left to take."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0011"
down_revision = "0010"

_DOCUMENTS = """
-- A credit note is an invoice below zero: what sums over both kinds is what is owed.
ALTER TABLE invoice
    ADD COLUMN credited_total numeric NOT NULL DEFAULT 0 CHECK (credited_total >= 0),
    ADD COLUMN credits_invoice_id uuid REFERENCES invoice,
    ADD COLUMN credits_number text NOT NULL DEFAULT '',
    ADD COLUMN credits_issued_on date,
    ADD COLUMN credit_reason text NOT NULL DEFAULT '',
    ALTER COLUMN run_id DROP NOT NULL,
    DROP CONSTRAINT invoice_document_type_check,
    ADD CONSTRAINT invoice_document_type_check
        CHECK (document_type IN ('invoice', 'credit_note')),
    DROP CONSTRAINT invoice_status_check,
    ADD CONSTRAINT invoice_status_check CHECK (status IN (
        'draft', 'tax_pending', 'ready', 'approved', 'issued', 'partially_paid', 'paid', 'voided',
        'credited')),
    DROP CONSTRAINT invoice_check,
    DROP CONSTRAINT invoice_check1,
    ADD CONSTRAINT invoice_gross_check CHECK (gross_total = net_total + tax_total),
    -- Never settled beyond what is owed, in either direction.
    ADD CONSTRAINT invoice_settled_check CHECK (
        paid_total + credited_total = 0 AND credited_total = 0
        OR document_type = 'invoice' AND paid_total >= 0
            AND paid_total + credited_total <= gross_total
        OR document_type = 'credit_note' AND credited_total = 0 AND paid_total < 0
            AND paid_total >= gross_total),
    ADD CONSTRAINT invoice_credits_check CHECK (
        (document_type = 'credit_note') = (credits_invoice_id IS NOT NULL)
        AND (document_type = 'credit_note') = (run_id IS NULL)
        AND (document_type = 'credit_note') = (credits_issued_on IS NOT NULL)
        AND (document_type = 'credit_note') = (credits_number <> '')
        AND (document_type = 'credit_note') = (credit_reason <> '')
        AND (document_type = 'invoice' OR gross_total < 0));
CREATE INDEX invoice_by_credited ON invoice (credits_invoice_id)
    WHERE credits_invoice_id IS NOT NULL;

DO $$
DECLARE
    found text;
BEGIN
    SELECT conname INTO STRICT found FROM pg_constraint
    WHERE conrelid = 'invoice'::regclass AND contype = 'c'
      AND pg_get_constraintdef(oid) LIKE '%partially_paid%number IS NOT NULL%';
    EXECUTE format('ALTER TABLE invoice DROP CONSTRAINT %I', found);
END
$$;
ALTER TABLE invoice ADD CONSTRAINT invoice_numbered_check CHECK (
    (status IN ('issued', 'partially_paid', 'paid', 'credited')) = (number IS NOT NULL));

ALTER TABLE invoice_line
    ADD COLUMN credits_line_id uuid,
    ADD COLUMN disposition text CHECK (disposition IN ('return_to_unbilled', 'write_off'));

ALTER TABLE number_series
    DROP CONSTRAINT number_series_series_check,
    ADD CONSTRAINT number_series_series_check
        CHECK (series IN ('invoice', 'credit_note', 'journal_entry'));

CREATE OR REPLACE FUNCTION refuse_change_of_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mutable text[] := ARRAY['version', 'status', 'paid_total', 'credited_total', 'document_step',
                            'document_sha256'];
BEGIN
    IF to_jsonb(NEW) - mutable IS DISTINCT FROM to_jsonb(OLD) - mutable THEN
        RAISE EXCEPTION 'invoice % is issued and cannot change', OLD.number
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
"""

_CREDITS = """
-- What credit notes took of a claim, drafts of them included: of the claim's sign, and never more.
ALTER TABLE invoice_item
    ADD COLUMN credited_quantity numeric NOT NULL DEFAULT 0,
    ADD COLUMN credited_amount numeric NOT NULL DEFAULT 0,
    ADD COLUMN credited_recognised numeric NOT NULL DEFAULT 0,
    ADD CONSTRAINT invoice_item_creditable CHECK (
        credited_quantity * quantity >= 0 AND abs(credited_quantity) <= abs(quantity)
        AND (credited_quantity <> quantity OR credited_amount = amount
             OR credited_quantity = 0));

CREATE TABLE credit_item (
    credit_note_id    uuid    NOT NULL REFERENCES invoice,
    invoice_id        uuid    NOT NULL,
    billing_event_id  uuid    NOT NULL,
    portion           integer NOT NULL,
    source_item_id    uuid    NOT NULL,
    invoice_line_id   uuid    NOT NULL,
    credit_line_id    uuid    NOT NULL,
    quantity          numeric NOT NULL CHECK (quantity <> 0),
    currency          text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount            numeric NOT NULL CHECK (abs(amount) < 1e15),
    recognised_amount numeric NOT NULL CHECK (abs(recognised_amount) < 1e15),
    disposition       text    NOT NULL CHECK (disposition IN ('return_to_unbilled', 'write_off')),
    -- The released row that took the item back and that this credit note stands for.
    reversal_id       uuid,
    is_live           boolean NOT NULL,
    PRIMARY KEY (credit_note_id, invoice_id, billing_event_id, portion),
    FOREIGN KEY (invoice_id, billing_event_id, portion)
        REFERENCES invoice_item (invoice_id, billing_event_id, portion)
);
CREATE INDEX credit_item_by_claim ON credit_item (billing_event_id, portion);
CREATE INDEX credit_item_by_reversal ON credit_item (reversal_id) WHERE reversal_id IS NOT NULL;

-- The rest of a credit note settles further invoices of its customer.
CREATE TABLE credit_application (
    credit_application_id uuid    PRIMARY KEY,
    credit_note_id        uuid    NOT NULL REFERENCES invoice,
    invoice_id            uuid    NOT NULL REFERENCES invoice,
    currency              text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount                numeric NOT NULL CHECK (amount > 0 AND amount < 1e15),
    applied_on            date    NOT NULL
);
CREATE INDEX credit_application_by_invoice ON credit_application (invoice_id);
CREATE INDEX credit_application_by_credit_note ON credit_application (credit_note_id);
COMMENT ON TABLE credit_application IS
    'append-only: which credit note settled how much of which invoice';
"""

_GUARDS = """
-- A claim is given up with its invoice, or when its item leaves a draft, once. What is credited of
-- it changes while the credit note is a draft. Nothing else does.
CREATE OR REPLACE FUNCTION refuse_change_of_claim() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    credited text[] := ARRAY['credited_quantity', 'credited_amount', 'credited_recognised'];
    is_issued boolean := (SELECT number IS NOT NULL FROM invoice WHERE invoice_id = OLD.invoice_id);
BEGIN
    IF is_issued AND to_jsonb(NEW) - credited = to_jsonb(OLD) - credited
        OR NOT is_issued AND OLD.is_live AND NOT NEW.is_live
            AND to_jsonb(NEW) - 'is_live' = to_jsonb(OLD) - 'is_live'
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the claim of % is not to be changed', OLD.billing_event_id
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION refuse_change_of_credit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.is_live AND NOT NEW.is_live
        AND to_jsonb(NEW) - 'is_live' = to_jsonb(OLD) - 'is_live'
        AND EXISTS (
            SELECT FROM invoice WHERE invoice_id = OLD.credit_note_id AND number IS NULL)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the credit of % is not to be changed', OLD.billing_event_id
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER only_given_up BEFORE UPDATE OR DELETE ON credit_item
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_credit();
"""


def upgrade() -> None:
    run_sql(op, _DOCUMENTS)
    run_sql(op, _CREDITS)
    run_sql(op, _GUARDS)
