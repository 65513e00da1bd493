"""What becomes of an item, who takes its release back, and in which portions it is billed."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0010"
down_revision = "0009"

_ITEMS = """
ALTER TABLE billable_item
    -- 0 is what was released first. Each later release of the row, and each part of it that a
    -- credit note gives back, is a portion of its own: billed once, by the key of the claims below.
    ADD COLUMN portion integer NOT NULL DEFAULT 0 CHECK (portion >= 0),
    ADD COLUMN row_version bigint NOT NULL DEFAULT 1 CHECK (row_version > 0),
    ADD COLUMN treatment text NOT NULL DEFAULT 'invoiced'
        CHECK (treatment IN ('invoiced', 'prepayment', 'drawn')),
    ADD COLUMN purchase_order_number text NOT NULL DEFAULT '',
    ADD COLUMN rerating_run_id uuid,
    ADD COLUMN returned_by uuid,
    DROP CONSTRAINT billable_item_type_check,
    ADD CONSTRAINT billable_item_type_check CHECK (type IN (
        'time', 'expense', 'milestone', 'recurring', 'progress', 'usage', 'retainer_draw',
        'adjustment')),
    -- The last part of a credit takes the cents that rounding left.
    DROP CONSTRAINT billable_item_check1,
    ADD CONSTRAINT billable_item_recognised_check CHECK (abs(recognised_amount - amount) <= 1);

ALTER TABLE netted_item
    ADD COLUMN portion integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT netted_item_counterpart_id_key,
    DROP CONSTRAINT netted_item_billing_event_id_fkey,
    DROP CONSTRAINT netted_item_counterpart_id_fkey,
    DROP CONSTRAINT netted_item_pkey;
ALTER TABLE invoice_item
    ADD COLUMN portion integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT invoice_item_billing_event_id_fkey,
    DROP CONSTRAINT invoice_item_pkey;
DROP INDEX invoice_item_once;
DROP INDEX billable_item_reversed_once;

ALTER TABLE billable_item
    DROP CONSTRAINT billable_item_pkey, ADD PRIMARY KEY (billing_event_id, portion);
ALTER TABLE netted_item
    ADD PRIMARY KEY (billing_event_id, portion),
    ADD CONSTRAINT netted_item_portion_fkey FOREIGN KEY (billing_event_id, portion)
        REFERENCES billable_item (billing_event_id, portion);
ALTER TABLE invoice_item
    ADD PRIMARY KEY (invoice_id, billing_event_id, portion),
    ADD CONSTRAINT invoice_item_portion_fkey FOREIGN KEY (billing_event_id, portion)
        REFERENCES billable_item (billing_event_id, portion);
CREATE UNIQUE INDEX invoice_item_once ON invoice_item (billing_event_id, portion) WHERE is_live;
CREATE UNIQUE INDEX billable_item_reversed_once
    ON billable_item (reverses_billing_event_id, portion)
    WHERE reverses_billing_event_id IS NOT NULL;
CREATE INDEX billable_item_rerated ON billable_item (contract_id, billing_event_id)
    WHERE rerating_run_id IS NOT NULL AND reverses_billing_event_id IS NOT NULL;

-- Up to which version of a row its releases count no more. Not a reference: what takes a release
-- back may arrive before it.
CREATE TABLE retracted_item (
    billing_event_id    uuid   PRIMARY KEY,
    withdrawn_version   bigint NOT NULL CHECK (withdrawn_version >= 0),
    written_off_version bigint NOT NULL CHECK (written_off_version >= 0),
    -- Of write-offs up to this one the last was undone: the row waits to be released again.
    undone_version      bigint NOT NULL CHECK (undone_version >= 0)
);
"""

_DRAFTS = """
-- Items leave drafts: their lines are made anew, and only issued ones are final.
DROP TRIGGER IF EXISTS append_only ON invoice_line;
DROP TRIGGER IF EXISTS append_only ON invoice_tax;
COMMENT ON TABLE invoice_line IS 'what invoices print, line by line; final once issued';
COMMENT ON TABLE invoice_tax IS 'tax of invoices by code and rate; final once issued';

CREATE FUNCTION refuse_change_in_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (
        SELECT FROM invoice WHERE invoice_id = OLD.invoice_id AND number IS NOT NULL)
    THEN
        RAISE EXCEPTION '% of an issued invoice cannot change', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER issued_is_kept BEFORE UPDATE OR DELETE ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION refuse_change_in_issued_invoice();
CREATE TRIGGER issued_is_kept BEFORE UPDATE OR DELETE ON invoice_tax
    FOR EACH ROW EXECUTE FUNCTION refuse_change_in_issued_invoice();
CREATE FUNCTION refuse_emptying() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not to be emptied', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON invoice_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_emptying();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON invoice_tax
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_emptying();

ALTER TABLE invoice_line DROP CONSTRAINT invoice_line_type_check,
    ADD CONSTRAINT invoice_line_type_check CHECK (type IN (
        'time', 'expense', 'milestone', 'recurring', 'progress', 'usage', 'adjustment')),
    ADD COLUMN treatment text NOT NULL DEFAULT 'invoiced'
        CHECK (treatment IN ('invoiced', 'prepayment')),
    ADD COLUMN purchase_order_number text NOT NULL DEFAULT '';

ALTER TABLE contract_terms
    ADD COLUMN bill_to_customer_id uuid,
    ADD COLUMN rerating_policy text NOT NULL DEFAULT 'debit_credit'
        CHECK (rerating_policy IN ('debit_credit', 'credit_and_rebill'));
ALTER TABLE customer ADD COLUMN payment_terms_days integer
    CHECK (payment_terms_days BETWEEN 0 AND 365);

CREATE OR REPLACE FUNCTION refuse_netted_and_claimed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added
        JOIN netted_item USING (billing_event_id, portion)
        JOIN invoice_item AS claim USING (billing_event_id, portion) WHERE claim.is_live
    ) THEN
        RAISE EXCEPTION 'an item cannot both be cancelled and stand on an invoice'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
"""


def upgrade() -> None:
    run_sql(op, _ITEMS)
    run_sql(op, _DRAFTS)
