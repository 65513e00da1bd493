"""Limits of payers, customers and categories; hard and soft, with thresholds."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0012"
down_revision = "0011"

_ITEMS = """
-- What an expense was for; empty on what came before it was kept, and on all other things.
ALTER TABLE source_item ADD COLUMN category text NOT NULL DEFAULT '',
    ADD CHECK (category = '' OR type = 'expense');
"""

_ACCOUNTS = """
-- A limit of a customer counts over all its contracts and belongs to none; a cap of a category
-- counts for one line, person and day.
ALTER TABLE limit_account
    ALTER COLUMN contract_id DROP NOT NULL,
    ALTER COLUMN contract_version DROP NOT NULL,
    ADD COLUMN scope text,
    ADD COLUMN customer_id uuid,
    ADD COLUMN category text,
    ADD COLUMN person_id uuid,
    ADD COLUMN day date,
    ADD COLUMN enforcement text NOT NULL DEFAULT 'hard' CHECK (enforcement IN ('hard', 'soft')),
    ADD COLUMN tolerance_percent numeric NOT NULL DEFAULT 0
        CHECK (tolerance_percent >= 0 AND tolerance_percent <= 100),
    ADD COLUMN alert_percents integer[] NOT NULL DEFAULT '{80,100}',
    ADD COLUMN settings_version integer NOT NULL DEFAULT 0 CHECK (settings_version >= 0),
    -- The highest threshold that was told as reached, 0 for none; and how often any was told.
    ADD COLUMN alerted_percent integer NOT NULL DEFAULT 0 CHECK (alerted_percent >= 0),
    ADD COLUMN alert_version integer NOT NULL DEFAULT 0 CHECK (alert_version >= 0);
UPDATE limit_account SET scope = CASE
    WHEN contract_line_id IS NOT NULL THEN 'contract_line'
    WHEN purchase_order_number IS NOT NULL THEN 'purchase_order' ELSE 'contract' END;
ALTER TABLE limit_account
    ALTER COLUMN scope SET NOT NULL,
    ADD CONSTRAINT limit_account_has_its_scope CHECK (
        CASE scope
            WHEN 'contract' THEN num_nonnulls(contract_line_id, purchase_order_number, customer_id,
                                              category) = 0
            WHEN 'contract_line' THEN contract_line_id IS NOT NULL
                AND num_nonnulls(purchase_order_number, customer_id, category) = 0
            WHEN 'purchase_order' THEN purchase_order_number IS NOT NULL
                AND num_nonnulls(contract_line_id, customer_id, category) = 0
            WHEN 'payer' THEN customer_id IS NOT NULL
                AND num_nonnulls(contract_line_id, purchase_order_number, category) = 0
            WHEN 'customer' THEN customer_id IS NOT NULL
                AND num_nonnulls(contract_line_id, purchase_order_number, category) = 0
            WHEN 'category' THEN contract_line_id IS NOT NULL AND category IS NOT NULL
                AND num_nonnulls(purchase_order_number, customer_id) = 0
            ELSE false END),
    ADD CHECK (num_nonnulls(category, person_id, day) IN (0, 3)),
    ADD CHECK ((scope = 'customer') = (contract_id IS NULL)),
    ADD CHECK ((contract_id IS NULL) = (contract_version IS NULL)),
    -- A soft limit tells of what is over it and stops nothing.
    DROP CONSTRAINT limit_account_is_hard,
    ADD CONSTRAINT limit_account_is_hard
        CHECK (enforcement = 'soft' OR reserved + committed <= enforced);
-- Caps of days are found by their ids; there may be thousands on a contract.
DROP INDEX limit_account_by_contract;
CREATE INDEX limit_account_by_contract ON limit_account (contract_id) WHERE scope <> 'category';
CREATE INDEX limit_account_by_customer ON limit_account (customer_id)
    WHERE customer_id IS NOT NULL;

-- release: credited, so that it is reserved again. write_off: given up, so that it no longer is.
ALTER TABLE limit_entry DROP CONSTRAINT limit_entry_kind_check,
    ADD CONSTRAINT limit_entry_kind_check
        CHECK (kind IN ('reserve', 'commit', 'release', 'write_off'));
-- What claims or gives up a row moves the limits that row took from.
CREATE INDEX limit_entry_by_billing_event ON limit_entry (billing_event_id);
"""

_SETTINGS = """
CREATE TABLE limit_setting (
    limit_account_id  uuid        NOT NULL REFERENCES limit_account,
    version           integer     NOT NULL CHECK (version > 0),
    enforcement       text        NOT NULL CHECK (enforcement IN ('hard', 'soft')),
    tolerance_percent numeric     NOT NULL
        CHECK (tolerance_percent >= 0 AND tolerance_percent <= 100),
    alert_percents    integer[]   NOT NULL,
    reason            text        NOT NULL,
    set_by            text        NOT NULL,
    set_at            timestamptz NOT NULL,
    PRIMARY KEY (limit_account_id, version)
);
COMMENT ON TABLE limit_setting IS 'append-only: how a limit was enforced, and who said so';

-- A higher limit of a customer, or none at all, takes two persons.
CREATE TABLE customer_limit_proposal (
    customer_limit_proposal_id uuid   PRIMARY KEY,
    version          bigint      NOT NULL CHECK (version > 0),
    limit_account_id uuid        NOT NULL,
    customer_id      uuid        NOT NULL,
    legal_entity_id  uuid        NOT NULL,
    currency         text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount           numeric     CHECK (amount >= 0 AND amount < 'Infinity'),
    status           text        NOT NULL CHECK (status IN ('proposed', 'approved', 'rejected')),
    reason           text        NOT NULL,
    proposed_by      text        NOT NULL,
    proposed_at      timestamptz NOT NULL,
    decided_by       text,
    decided_at       timestamptz,
    comment          text        NOT NULL,
    CHECK (num_nulls(decided_by, decided_at) = CASE status WHEN 'proposed' THEN 2 ELSE 0 END),
    CONSTRAINT customer_limit_takes_two CHECK (status <> 'approved' OR decided_by <> proposed_by)
);
CREATE UNIQUE INDEX customer_limit_proposed_once ON customer_limit_proposal (limit_account_id)
    WHERE status = 'proposed';
"""


def upgrade() -> None:
    run_sql(op, _ITEMS)
    run_sql(op, _ACCOUNTS)
    run_sql(op, _SETTINGS)
