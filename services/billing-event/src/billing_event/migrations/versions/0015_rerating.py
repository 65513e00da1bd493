"""Runs that post what changed terms make of rated work."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0015"
down_revision = "0014"

_RUNS = """
-- One run over rated work of an entity. `facts_epoch` counts the facts when its preview began; the
-- cursor is the row the preview has looked at last.
CREATE TABLE rerating_run (
    rerating_run_id         uuid        PRIMARY KEY,
    version                 bigint      NOT NULL CHECK (version > 0),
    status                  text        NOT NULL CHECK (status IN (
        'draft', 'previewing', 'previewing_stopped', 'previewed', 'applying', 'applying_stopped',
        'waiting', 'applied', 'rejected', 'cancelled')),
    cause                   text        NOT NULL CHECK (cause IN (
        'change_order', 'card_version', 'correction', 'manual')),
    reason                  text        NOT NULL,
    legal_entity_id         uuid        NOT NULL,
    contract_ids            uuid[]      NOT NULL,
    contract_line_ids       uuid[]      NOT NULL,
    person_ids              uuid[]      NOT NULL,
    customer_id             uuid,
    rate_card_id            uuid,
    service_from            date,
    service_through         date,
    drafted                 text        NOT NULL CHECK (drafted IN ('wait', 'skip')),
    moves_payers            boolean     NOT NULL,
    proposed_by             text        NOT NULL,
    decided_by              text        NOT NULL,
    decision_reason         text        NOT NULL,
    facts_epoch             bigint      NOT NULL,
    created_at              timestamptz NOT NULL,
    previewed_at            timestamptz,
    finished_at             timestamptz,
    cursor_contract_id      uuid,
    cursor_service_from     date,
    cursor_billing_event_id uuid,
    items_previewed         bigint      NOT NULL DEFAULT 0 CHECK (items_previewed >= 0),
    items_different         bigint      NOT NULL DEFAULT 0 CHECK (items_different >= 0),
    items_cannot            bigint      NOT NULL DEFAULT 0 CHECK (items_cannot >= 0),
    items_applied           bigint      NOT NULL DEFAULT 0 CHECK (items_applied >= 0),
    items_waiting           bigint      NOT NULL DEFAULT 0 CHECK (items_waiting >= 0),
    items_skipped           bigint      NOT NULL DEFAULT 0 CHECK (items_skipped >= 0),
    items_outdated          bigint      NOT NULL DEFAULT 0 CHECK (items_outdated >= 0),
    CHECK (service_from <= service_through),
    CHECK (num_nulls(cursor_contract_id, cursor_service_from, cursor_billing_event_id) IN (0, 3)),
    CHECK ((status IN ('applied', 'rejected', 'cancelled')) = (finished_at IS NOT NULL)),
    -- Two persons, whoever they are.
    CHECK (status NOT IN ('applying', 'applying_stopped', 'waiting', 'applied')
           OR decided_by <> '' AND decided_by <> proposed_by)
);
CREATE INDEX rerating_run_working ON rerating_run (rerating_run_id)
    WHERE status IN ('previewing', 'applying', 'waiting');
CREATE INDEX rerating_run_by_entity ON rerating_run (legal_entity_id, created_at);

-- What a preview found of one thing. `parts` is what is approved: by payer and rate the quantity
-- that is billed and the one that should be. It is posted at most once: `outcome` moves in the
-- transaction that posts it. The thing is no reference: it was read from its table, which is
-- append-only, and checking each of a hundred thousand again takes a second.
CREATE TABLE rerating_item (
    rerating_run_id  uuid    NOT NULL REFERENCES rerating_run,
    source_item_id   uuid    NOT NULL,
    contract_id      uuid    NOT NULL,
    contract_line_id uuid    NOT NULL,
    service_from     date    NOT NULL,
    payer_ids        uuid[]  NOT NULL,
    place            text    NOT NULL CHECK (place IN (
        'held', 'eligible', 'released', 'drafted', 'invoiced')),
    invoices         text[]  NOT NULL,
    action           text    NOT NULL CHECK (action IN (
        'nothing', 'replace', 'debit', 'credit', 'credit_and_rebill', 'cannot')),
    reason           text    NOT NULL,
    unit             text    NOT NULL CHECK (unit IN ('hour', 'each', 'month')),
    currency         text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    old_quantity     numeric NOT NULL,
    new_quantity     numeric NOT NULL,
    old_amount       numeric NOT NULL,
    new_amount       numeric NOT NULL,
    parts            jsonb   NOT NULL CHECK (jsonb_typeof(parts) = 'array'),
    is_different     boolean NOT NULL,
    outcome          text    NOT NULL CHECK (outcome IN (
        'none', 'pending', 'applied', 'waiting', 'skipped', 'outdated')),
    PRIMARY KEY (rerating_run_id, source_item_id),
    CHECK (old_quantity > '-Infinity' AND old_quantity < 'Infinity'),
    CHECK (new_quantity > '-Infinity' AND new_quantity < 'Infinity'),
    CHECK (old_amount > '-Infinity' AND old_amount < 'Infinity'),
    CHECK (new_amount > '-Infinity' AND new_amount < 'Infinity')
);
CREATE INDEX rerating_item_open ON rerating_item (rerating_run_id, source_item_id)
    WHERE outcome IN ('pending', 'waiting');

-- The differences of a preview, summed as it goes along, so that reading them takes no longer for a
-- large one.
CREATE TABLE rerating_sum (
    rerating_run_id  uuid    NOT NULL REFERENCES rerating_run,
    contract_id      uuid    NOT NULL,
    contract_line_id uuid    NOT NULL,
    month            date    NOT NULL,
    payer_id         uuid    NOT NULL,
    action           text    NOT NULL,
    currency         text    NOT NULL,
    items            bigint  NOT NULL,
    old_amount       numeric NOT NULL,
    new_amount       numeric NOT NULL,
    PRIMARY KEY (rerating_run_id, contract_id, contract_line_id, month, payer_id, action, currency)
);

CREATE TABLE rerating_seen_card (
    rate_card_id uuid   NOT NULL,
    version      bigint NOT NULL,
    PRIMARY KEY (rate_card_id, version)
);
COMMENT ON TABLE rerating_seen_card IS
    'append-only: card versions that were compared with the one before';
INSERT INTO rerating_seen_card SELECT rate_card_id, version FROM rate_card;

-- Finds work that a new version of its card prices differently.
CREATE INDEX billing_event_by_card ON billing_event (rate_card_id, service_from)
    WHERE rate_card_id IS NOT NULL;
"""


def upgrade() -> None:
    run_sql(op, _RUNS)
