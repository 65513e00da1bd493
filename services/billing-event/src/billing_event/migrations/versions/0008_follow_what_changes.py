"""What changes after approval: amended and ended contracts, reversals, acceptance in part."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0008"
down_revision = "0007"

_CONTRACTS = """
-- One row for each contract: how far it has come, and the epoch of its last change. Terms are kept
-- by version beside it; `first_version` is the one it came into force with.
CREATE TABLE contract_state (
    contract_id         uuid    PRIMARY KEY,
    version             bigint  NOT NULL CHECK (version >= 0),
    first_version       integer CHECK (first_version > 0),
    bill_to_customer_id uuid    NOT NULL,
    legal_entity_id     uuid    NOT NULL,
    time_zone           text    NOT NULL,
    newest_version      integer NOT NULL CHECK (newest_version > 0),
    ended_on            date,
    ended_early         boolean NOT NULL,
    ended_detail        text    NOT NULL,
    epoch               bigint  NOT NULL
);
CREATE INDEX contract_state_by_bill_to ON contract_state (bill_to_customer_id);
INSERT INTO contract_state
SELECT DISTINCT ON (contract_id) contract_id, 0, min(contract_version) OVER whole,
       bill_to_customer_id, legal_entity_id, time_zone, contract_version, NULL, false, '',
       max(epoch) OVER whole
FROM contract_terms WINDOW whole AS (PARTITION BY contract_id)
ORDER BY contract_id, contract_version DESC;

-- Lines whose prices a change order moved. What was rated by an earlier version for a day from
-- `effective_on` on is where a re-rating begins.
CREATE TABLE amendment (
    contract_id         uuid        NOT NULL,
    contract_version    integer     NOT NULL CHECK (contract_version > 0),
    contract_line_id    uuid        NOT NULL,
    effective_on        date        NOT NULL,
    change_order_number text        NOT NULL,
    recorded_at         timestamptz NOT NULL,
    PRIMARY KEY (contract_id, contract_version, contract_line_id)
);
COMMENT ON TABLE amendment IS 'append-only: from when on which lines are priced anew';
"""

_SOURCES = """
ALTER TABLE source_item
    ADD COLUMN activity text NOT NULL DEFAULT '',
    ADD COLUMN reverses_source_item_id uuid,
    ADD COLUMN replaces_source_item_id uuid;
CREATE INDEX source_item_by_reversed ON source_item (reverses_source_item_id)
    WHERE reverses_source_item_id IS NOT NULL;

-- What is said of a thing after it came; the highest version is the last word. Not a reference:
-- an acceptance may be withdrawn before the milestone is heard of here.
CREATE TABLE source_step (
    source_item_id  uuid        NOT NULL,
    version         bigint      NOT NULL CHECK (version > 0),
    state           text        NOT NULL CHECK (state IN (
        'completed', 'refused', 'accepted', 'withdrawn', 'repriced')),
    price           numeric     CHECK (price > '-Infinity' AND price < 'Infinity'),
    service_to      date,
    reason          text        NOT NULL,
    accepted_on     date,
    accepted_by     text        NOT NULL,
    evidence_sha256 text        NOT NULL,
    recorded_by     text        NOT NULL,
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (source_item_id, version),
    CHECK (state <> 'accepted' OR accepted_on IS NOT NULL)
);
COMMENT ON TABLE source_step IS 'append-only: the highest version is the last word';
INSERT INTO source_step
SELECT source_item_id, milestone_version, CASE refusal WHEN '' THEN 'completed' ELSE 'refused' END,
       NULL, NULL, refusal, NULL, '', '', '', recorded_at
FROM milestone_step;
-- An acceptance was not numbered: it came after the steps known of its milestone.
INSERT INTO source_step
SELECT source_item_id, 1 + coalesce((
           SELECT max(milestone_version) FROM milestone_step
           WHERE milestone_step.source_item_id = acceptance.source_item_id), 1),
       'accepted', NULL, NULL, '', accepted_on, accepted_by, evidence_sha256, '', recorded_at
FROM acceptance;
DROP TABLE acceptance, milestone_step;
"""

_ROWS = """
ALTER TABLE billing_event
    ADD COLUMN reverses_billing_event_id uuid REFERENCES billing_event,
    ADD COLUMN delivering_entity_id uuid,
    ADD COLUMN multiplier numeric CHECK (multiplier >= 0 AND multiplier < 'Infinity'),
    ADD COLUMN purchase_order_number text NOT NULL DEFAULT '';
-- A row is taken back once, by one other.
CREATE UNIQUE INDEX billing_event_reversed_once ON billing_event (reverses_billing_event_id)
    WHERE reverses_billing_event_id IS NOT NULL;

ALTER TABLE position DROP CONSTRAINT position_status_check,
    ADD CONSTRAINT position_status_check
        CHECK (status IN ('held', 'eligible', 'released', 'reversed'));

-- Null where the reason itself says what to do.
ALTER TABLE hold ADD COLUMN advice text;

-- A limit of a purchase order has its number; all others have none.
ALTER TABLE limit_account ADD COLUMN purchase_order_number text,
    ADD CHECK (purchase_order_number IS NULL OR contract_line_id IS NULL);
"""


def upgrade() -> None:
    run_sql(op, _CONTRACTS)
    run_sql(op, _SOURCES)
    run_sql(op, _ROWS)
