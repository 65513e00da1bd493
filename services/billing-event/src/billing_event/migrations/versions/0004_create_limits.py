"""Limits: what contracts allow at most, and who took how much of it."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0004"
down_revision = "0003"

_LIMITS = """
-- `agreed` is what the terms say, null when they no longer say anything; `enforced` is what is
-- checked: where a lower limit was agreed than had been taken, it stays at what had been taken.
CREATE TABLE limit_account (
    limit_account_id uuid    PRIMARY KEY,
    contract_id      uuid    NOT NULL,
    contract_line_id uuid,
    legal_entity_id  uuid    NOT NULL,
    contract_version integer NOT NULL CHECK (contract_version > 0),
    currency         text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    agreed           numeric CHECK (agreed >= 0 AND agreed < 'Infinity'),
    enforced         numeric CHECK (enforced >= 0 AND enforced < 'Infinity'),
    reserved         numeric NOT NULL CHECK (reserved > '-Infinity' AND reserved < 'Infinity'),
    committed        numeric NOT NULL CHECK (committed > '-Infinity' AND committed < 'Infinity'),
    CHECK ((agreed IS NULL) = (enforced IS NULL)),
    CONSTRAINT limit_account_is_hard CHECK (reserved + committed <= enforced)
) WITH (fillfactor = 50);
CREATE INDEX limit_account_by_contract ON limit_account (contract_id);

-- reserve when a row is rated, commit when it is invoiced, release when it is given back.
CREATE TABLE limit_entry (
    limit_account_id uuid        NOT NULL REFERENCES limit_account,
    kind             text        NOT NULL CHECK (kind IN ('reserve', 'commit', 'release')),
    -- The billing event that reserves, the allocation that commits or releases.
    cause_id         uuid        NOT NULL,
    billing_event_id uuid        NOT NULL,
    amount           numeric     NOT NULL CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    recorded_at      timestamptz NOT NULL,
    PRIMARY KEY (limit_account_id, kind, cause_id)
);
COMMENT ON TABLE limit_entry IS 'append-only: the account is the sum of its entries';
"""


def upgrade() -> None:
    run_sql(op, _LIMITS)
