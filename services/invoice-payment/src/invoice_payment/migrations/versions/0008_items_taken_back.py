"""Items that take others back: they cancel before either is invoiced, or one credits the other."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0008"
down_revision = "0007"

_ITEMS = """
-- The item this one takes back: the same in everything, with the opposite sign.
ALTER TABLE billable_item ADD COLUMN reverses_billing_event_id uuid;
CREATE UNIQUE INDEX billable_item_reversed_once ON billable_item (reverses_billing_event_id)
    WHERE reverses_billing_event_id IS NOT NULL;
CREATE INDEX billable_item_by_customer ON billable_item (bill_to_customer_id);
CREATE INDEX billable_item_by_service
    ON billable_item (contract_id, service_from, billing_event_id);

-- Both sides of a pair that cancelled before either was claimed; neither is ever invoiced.
CREATE TABLE netted_item (
    billing_event_id uuid        PRIMARY KEY REFERENCES billable_item,
    counterpart_id   uuid        NOT NULL UNIQUE REFERENCES billable_item,
    netted_at        timestamptz NOT NULL,
    CHECK (billing_event_id <> counterpart_id)
);
COMMENT ON TABLE netted_item IS 'append-only: what cancelled stays cancelled';

-- Items their owner takes back at this moment; past `until` they are billable again. Not a
-- reference: an item may be set aside before it arrives.
CREATE TABLE item_set_aside (
    billing_event_id uuid        PRIMARY KEY,
    until            timestamptz NOT NULL
);
"""

_GUARDS = """
CREATE FUNCTION refuse_netted_and_claimed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added
        JOIN netted_item USING (billing_event_id)
        JOIN invoice_item AS claim USING (billing_event_id) WHERE claim.is_live
    ) THEN
        RAISE EXCEPTION 'an item cannot both be cancelled and stand on an invoice'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER netted_or_claimed AFTER INSERT ON netted_item REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_netted_and_claimed();
CREATE TRIGGER netted_or_claimed AFTER INSERT ON invoice_item REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_netted_and_claimed();
"""


def upgrade() -> None:
    run_sql(op, _ITEMS)
    run_sql(op, _GUARDS)
