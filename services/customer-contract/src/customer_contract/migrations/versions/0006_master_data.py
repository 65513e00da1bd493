"""Master data in depth: calendars, tax profiles, credit, data quality, ownership."""

from alembic import op

from throughline_runtime import ownership
from throughline_runtime.schema import run_sql

revision = "0006"
down_revision = "0005"

_PARTIES = """
ALTER TABLE legal_entity
    ADD COLUMN holiday_country         text       NOT NULL DEFAULT ''
        CHECK (holiday_country ~ '^([A-Z]{2})?$'),
    ADD COLUMN holiday_subdivision     text       NOT NULL DEFAULT '',
    ADD COLUMN working_days            smallint[] NOT NULL DEFAULT '{}'
        CHECK (working_days <@ '{1,2,3,4,5,6,7}'),
    ADD COLUMN tax_registrations       jsonb      NOT NULL DEFAULT '[]',
    ADD COLUMN fiscal_year_start_month smallint   NOT NULL DEFAULT 0
        CHECK (fiscal_year_start_month BETWEEN 0 AND 12),
    ADD COLUMN closed_through          date;

-- What a source said last is kept as a digest beside the record: unchanged content never undoes
-- what was corrected here, however long ago it was brought in.
ALTER TABLE customer
    ADD COLUMN payer_customer_id      uuid  REFERENCES customer,
    ADD COLUMN bill_to_customer_id    uuid  REFERENCES customer,
    ADD COLUMN contacts               jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN tax_registrations      jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN exemption_certificates jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN credit_limit           numeric(18, 4)
        CHECK (credit_limit > 0 AND credit_limit < 'Infinity'),
    ADD COLUMN credit_limit_currency  text  CHECK (credit_limit_currency ~ '^[A-Z]{3}$'),
    ADD COLUMN ended_on               date,
    ADD COLUMN changed_in             text  NOT NULL DEFAULT '',
    ADD COLUMN source_version         text,
    ADD COLUMN source_content_sha256  bytea CHECK (length(source_content_sha256) = 32),
    ADD CHECK (num_nulls(credit_limit, credit_limit_currency) IN (0, 2)),
    ADD CHECK (num_nulls(source_version, source_content_sha256) IN (0, 2)),
    ADD CHECK (source_version IS NULL OR source_system IS NOT NULL);

ALTER TABLE legal_entity
    ALTER COLUMN holiday_country DROP DEFAULT,
    ALTER COLUMN holiday_subdivision DROP DEFAULT,
    ALTER COLUMN working_days DROP DEFAULT,
    ALTER COLUMN tax_registrations DROP DEFAULT,
    ALTER COLUMN fiscal_year_start_month DROP DEFAULT;
ALTER TABLE customer
    ALTER COLUMN contacts DROP DEFAULT,
    ALTER COLUMN tax_registrations DROP DEFAULT,
    ALTER COLUMN exemption_certificates DROP DEFAULT,
    ALTER COLUMN changed_in DROP DEFAULT;
"""

_MOVES = """
CREATE TABLE customer_move (
    customer_id uuid        NOT NULL REFERENCES customer,
    version     bigint      NOT NULL,
    ended_on    date,
    reason      text        NOT NULL,
    moved_by    text        NOT NULL,
    moved_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, version)
);
COMMENT ON TABLE customer_move IS
    'append-only: when business with a customer ended and was taken up again, and why';

CREATE TABLE credit_limit_move (
    customer_id  uuid        NOT NULL REFERENCES customer,
    version      bigint      NOT NULL,
    credit_limit numeric(18, 4),
    currency     text,
    reason       text        NOT NULL,
    moved_by     text        NOT NULL,
    moved_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, version)
);
COMMENT ON TABLE credit_limit_move IS
    'append-only: who set and lifted credit limits, and why';

CREATE TABLE period_close_move (
    legal_entity_id uuid        NOT NULL REFERENCES legal_entity,
    version         bigint      NOT NULL,
    closed_through  date,
    reason          text        NOT NULL,
    moved_by        text        NOT NULL,
    moved_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (legal_entity_id, version)
);
COMMENT ON TABLE period_close_move IS
    'append-only: who closed accounting through which day, who opened it, and why';
"""

_CREDIT = """
-- Nobody approves what they proposed; the domain says so as well.
CREATE TABLE credit_override (
    credit_override_id uuid           PRIMARY KEY,
    customer_id        uuid           NOT NULL REFERENCES customer,
    amount             numeric(18, 4) NOT NULL CHECK (amount > 0 AND amount < 'Infinity'),
    currency           text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    expires_on         date           NOT NULL,
    reason             text           NOT NULL,
    status             text           NOT NULL
        CHECK (status IN ('proposed', 'approved', 'revoked')),
    proposed_by        text           NOT NULL,
    proposed_at        timestamptz    NOT NULL,
    decided_by         text           NOT NULL,
    decided_at         timestamptz,
    revoked_reason     text           NOT NULL,
    CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CHECK (status <> 'approved' OR decided_by <> proposed_by)
);
CREATE INDEX credit_override_by_customer ON credit_override (customer_id, credit_override_id);
"""

_DATA_QUALITY = """
-- Versions of a rule; at most one of them is in force, and nobody activates what they wrote.
CREATE TABLE data_quality_rule (
    code            text        NOT NULL CHECK (code ~ '^[a-z][a-z0-9-]*$'),
    rule_version    integer     NOT NULL CHECK (rule_version > 0),
    object          text        NOT NULL CHECK (object IN ('customer', 'quote', 'contract')),
    field           text        NOT NULL,
    condition       text        NOT NULL CHECK (condition IN ('required', 'matches', 'one_of')),
    pattern         text        NOT NULL,
    values          text[]      NOT NULL,
    legal_entity_id uuid        REFERENCES legal_entity,
    country         text        CHECK (country ~ '^[A-Z]{2}$'),
    severity        text        NOT NULL CHECK (severity IN ('warn', 'stop')),
    owner           text        NOT NULL
        CHECK (owner IN ('sales_operations', 'pmo', 'finance', 'integration')),
    advice          text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('proposed', 'active', 'retired')),
    proposed_by     text        NOT NULL,
    proposed_at     timestamptz NOT NULL,
    activated_by    text        NOT NULL,
    activated_at    timestamptz,
    retired_reason  text        NOT NULL,
    PRIMARY KEY (code, rule_version),
    CHECK (activated_at IS NULL OR activated_by <> proposed_by),
    CHECK (status <> 'active' OR activated_at IS NOT NULL)
);
CREATE UNIQUE INDEX data_quality_rule_active ON data_quality_rule (code) WHERE status = 'active';
"""


def upgrade() -> None:
    for script in (_PARTIES, _MOVES, _CREDIT, _DATA_QUALITY):
        run_sql(op, script)
    ownership.create(
        op,
        ("customer", "create", "salesforce"),
        ("customer", "update", "salesforce"),
        ("quote", "create", "salesforce"),
        ("quote", "update", "salesforce"),
        ("quote", "approve", "salesforce"),
    )
