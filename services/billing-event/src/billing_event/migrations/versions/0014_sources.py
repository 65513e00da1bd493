"""Usage, progress, adjustments, purchases and rates of exchange."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0014"
down_revision = "0013"

_EXCHANGE = """
-- A rate is found by a base that quotes two currencies, on the latest of some days.
CREATE TABLE exchange_rate (
    rate_on     date        NOT NULL,
    source      text        NOT NULL,
    base        text        NOT NULL CHECK (base ~ '^[A-Z]{3}$'),
    quote       text        NOT NULL CHECK (quote ~ '^[A-Z]{3}$' AND quote <> base),
    rate        numeric     NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    epoch       bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (rate_on, source, base, quote)
);
COMMENT ON TABLE exchange_rate IS 'append-only: a published rate does not change';

CREATE TABLE exchange_policy (
    legal_entity_id uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    rule            text        NOT NULL
        CHECK (rule IN ('work_date', 'previous_month_end', 'fixed')),
    days_max        integer     NOT NULL CHECK (days_max BETWEEN 0 AND 31),
    source          text        NOT NULL,
    set_by          text        NOT NULL,
    set_at          timestamptz NOT NULL,
    epoch           bigint      NOT NULL
);
CREATE TABLE fixed_exchange_rate (
    legal_entity_id uuid    NOT NULL,
    base            text    NOT NULL CHECK (base ~ '^[A-Z]{3}$'),
    quote           text    NOT NULL CHECK (quote ~ '^[A-Z]{3}$' AND quote <> base),
    rate            numeric NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    PRIMARY KEY (legal_entity_id, base, quote)
);
"""

_USAGE = """
-- `record_key` is what makes a reading the same when it is sent again: its source, or else line and
-- instant. A correction is the next revision of the key; the one before gets an end.
CREATE TABLE usage_record (
    usage_record_id    uuid        PRIMARY KEY,
    record_key         text        NOT NULL,
    revision           integer     NOT NULL CHECK (revision > 0),
    contract_id        uuid        NOT NULL,
    contract_line_id   uuid        NOT NULL,
    legal_entity_id    uuid        NOT NULL,
    meter              text        NOT NULL,
    quantity           numeric     NOT NULL CHECK (quantity >= 0 AND quantity < 'Infinity'),
    unit               text        NOT NULL,
    measured_at        timestamptz NOT NULL,
    measured_on        date        NOT NULL,
    source_system      text,
    source_object_type text,
    source_object_id   text,
    recorded_by        text        NOT NULL,
    recorded_at        timestamptz NOT NULL,
    CHECK (num_nulls(source_system, source_object_type, source_object_id) IN (0, 3))
);
COMMENT ON TABLE usage_record IS 'append-only: a reading is corrected by the next revision of it';
CREATE UNIQUE INDEX usage_record_once ON usage_record (record_key, revision);
CREATE INDEX usage_record_by_line ON usage_record (contract_line_id, measured_on);
CREATE INDEX usage_record_by_time ON usage_record (measured_at, usage_record_id);

CREATE TABLE usage_record_end (
    usage_record_id uuid        PRIMARY KEY REFERENCES usage_record,
    kind            text        NOT NULL CHECK (kind IN ('replaced', 'withdrawn')),
    reason          text        NOT NULL,
    ended_by        text        NOT NULL,
    ended_at        timestamptz NOT NULL
);
COMMENT ON TABLE usage_record_end IS 'append-only: a reading that has an end is counted no more';

-- Whoever adds readings locks their periods first, and so does whoever closes them: a reading is
-- either counted by the closing or prices the closed period anew. `revision` counts its prices.
CREATE TABLE usage_period (
    usage_period_id  uuid    PRIMARY KEY,
    contract_id      uuid    NOT NULL,
    contract_line_id uuid    NOT NULL,
    engagement_id    uuid    NOT NULL,
    legal_entity_id  uuid    NOT NULL,
    time_zone        text    NOT NULL,
    meter            text    NOT NULL,
    description      text    NOT NULL,
    service_from     date    NOT NULL,
    service_to       date    NOT NULL CHECK (service_from < service_to),
    revision         integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    closed_quantity  numeric CHECK (closed_quantity >= 0 AND closed_quantity < 'Infinity'),
    closed_amount    numeric CHECK (closed_amount >= 0 AND closed_amount < 'Infinity'),
    currency         text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    closed_at        timestamptz,
    CHECK (num_nulls(closed_quantity, closed_amount, closed_at) IN (0, 3))
);
CREATE INDEX usage_period_by_line ON usage_period (contract_line_id, service_from);
CREATE INDEX usage_period_by_contract ON usage_period (contract_id);
CREATE INDEX usage_period_by_end ON usage_period (service_to, usage_period_id);
CREATE INDEX usage_period_open ON usage_period (service_to) WHERE closed_at IS NULL;
"""

_PROGRESS = """
-- What was earned by then, and the difference to the report before, are fixed by the approval. One
-- report of a line waits at a time, so that each difference is taken from a known sum.
CREATE TABLE progress_report (
    progress_report_id uuid        PRIMARY KEY,
    version            bigint      NOT NULL CHECK (version > 0),
    contract_id        uuid        NOT NULL,
    contract_line_id   uuid        NOT NULL,
    legal_entity_id    uuid        NOT NULL,
    engagement_id      uuid        NOT NULL,
    status             text        NOT NULL
        CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    percent            numeric     NOT NULL CHECK (percent BETWEEN 0 AND 100),
    as_of              date        NOT NULL,
    note               text        NOT NULL,
    evidence           text        NOT NULL,
    evidence_sha256    text        NOT NULL,
    reported_by        text        NOT NULL,
    reported_at        timestamptz NOT NULL,
    decided_by         text        NOT NULL,
    decided_at         timestamptz,
    decision_reason    text        NOT NULL,
    net_total          numeric     CHECK (net_total >= 0 AND net_total < 'Infinity'),
    earned             numeric     CHECK (earned >= 0 AND earned <= net_total),
    amount             numeric     CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CHECK (num_nulls(net_total, earned, amount)
           = CASE WHEN status = 'approved' THEN 0 ELSE 3 END),
    CHECK (status <> 'approved' OR decided_by <> reported_by)
);
CREATE UNIQUE INDEX progress_report_open_once ON progress_report (contract_line_id)
    WHERE status = 'proposed';
CREATE INDEX progress_report_by_line ON progress_report (contract_line_id, as_of);
CREATE INDEX progress_report_by_time ON progress_report (reported_at, progress_report_id);
"""

_ADJUSTMENTS = """
CREATE TABLE adjustment_reason (
    code        text        PRIMARY KEY CHECK (code ~ '^[a-z0-9_]{1,40}$'),
    version     bigint      NOT NULL CHECK (version > 0),
    description text        NOT NULL,
    is_active   boolean     NOT NULL,
    set_by      text        NOT NULL,
    set_at      timestamptz NOT NULL
);

CREATE TABLE adjustment (
    adjustment_id        uuid        PRIMARY KEY,
    version              bigint      NOT NULL CHECK (version > 0),
    contract_id          uuid        NOT NULL,
    contract_line_id     uuid        NOT NULL,
    legal_entity_id      uuid        NOT NULL,
    engagement_id        uuid        NOT NULL,
    status               text        NOT NULL
        CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    amount               numeric     NOT NULL
        CHECK (amount <> 0 AND amount > '-Infinity' AND amount < 'Infinity'),
    currency             text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    service_on           date        NOT NULL,
    reason_code          text        NOT NULL REFERENCES adjustment_reason,
    description          text        NOT NULL,
    billing_event_id     uuid        REFERENCES billing_event,
    undoes_adjustment_id uuid        REFERENCES adjustment,
    proposed_by          text        NOT NULL,
    proposed_at          timestamptz NOT NULL,
    decided_by           text        NOT NULL,
    decided_at           timestamptz,
    decision_reason      text        NOT NULL,
    CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CHECK (status <> 'approved' OR decided_by <> proposed_by)
);
CREATE INDEX adjustment_by_contract ON adjustment (contract_id);
CREATE INDEX adjustment_by_time ON adjustment (proposed_at, adjustment_id);
CREATE UNIQUE INDEX adjustment_undone_once ON adjustment (undoes_adjustment_id)
    WHERE undoes_adjustment_id IS NOT NULL AND status IN ('proposed', 'approved');
"""

_PURCHASES = """
CREATE TABLE purchase (
    purchase_id        uuid        PRIMARY KEY,
    version            bigint      NOT NULL CHECK (version > 0),
    contract_id        uuid        NOT NULL,
    contract_line_id   uuid        NOT NULL,
    legal_entity_id    uuid        NOT NULL,
    engagement_id      uuid        NOT NULL,
    status             text        NOT NULL
        CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    category           text        NOT NULL,
    supplier           text        NOT NULL,
    document_number    text        NOT NULL,
    description        text        NOT NULL,
    incurred_on        date        NOT NULL,
    cost               numeric     NOT NULL
        CHECK (cost <> 0 AND cost > '-Infinity' AND cost < 'Infinity'),
    currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    source_system      text        NOT NULL,
    source_object_type text        NOT NULL,
    source_object_id   text        NOT NULL,
    recorded_by        text        NOT NULL,
    recorded_at        timestamptz NOT NULL,
    decided_by         text        NOT NULL,
    decided_at         timestamptz,
    decision_reason    text        NOT NULL,
    CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CHECK (status <> 'approved' OR decided_by <> recorded_by)
);
CREATE UNIQUE INDEX purchase_once ON purchase (source_system, source_object_id);
CREATE INDEX purchase_by_contract ON purchase (contract_id);
CREATE INDEX purchase_by_time ON purchase (recorded_at, purchase_id);
"""


def upgrade() -> None:
    for statements in (_EXCHANGE, _USAGE, _PROGRESS, _ADJUSTMENTS, _PURCHASES):
        run_sql(op, statements)
