"""Periods of retainers and what draws on them."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0013"
down_revision = "0012"

_PERIODS = """
-- A period of a retainer, named like the source item its block is invoiced from. `block` and all
-- balances are in `unit`: hours, or the currency of a retainer of money.
CREATE TABLE retainer_period (
    retainer_period_id uuid    PRIMARY KEY,
    contract_id        uuid    NOT NULL,
    contract_line_id   uuid    NOT NULL,
    legal_entity_id    uuid    NOT NULL,
    engagement_id      uuid    NOT NULL,
    correlation_id     uuid    NOT NULL,
    time_zone          text    NOT NULL,
    period_from        date    NOT NULL,
    period_to          date    NOT NULL CHECK (period_from < period_to),
    unit               text    NOT NULL CHECK (unit = 'hour' OR unit = currency),
    block              numeric NOT NULL CHECK (block >= 0 AND block < 'Infinity'),
    price              numeric NOT NULL CHECK (price >= 0 AND price < 'Infinity'),
    currency           text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status             text    NOT NULL CHECK (status IN ('planned', 'open', 'closed')),
    version            bigint  NOT NULL CHECK (version > 0),
    granted            numeric NOT NULL CHECK (granted >= 0 AND granted < 'Infinity'),
    carried_in         numeric NOT NULL CHECK (carried_in >= 0 AND carried_in < 'Infinity'),
    drawn              numeric NOT NULL CHECK (drawn >= 0 AND drawn < 'Infinity'),
    carried_out        numeric NOT NULL CHECK (carried_out >= 0 AND carried_out < 'Infinity'),
    lapsed             numeric NOT NULL CHECK (lapsed >= 0 AND lapsed < 'Infinity'),
    balance            numeric NOT NULL,
    carry_expires_on   date,
    closed_at          timestamptz,
    CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT retainer_period_never_below_zero CHECK (balance >= 0),
    CONSTRAINT retainer_period_adds_up
        CHECK (granted + carried_in = drawn + carried_out + lapsed + balance)
) WITH (fillfactor = 70);
CREATE INDEX retainer_period_by_contract ON retainer_period (contract_id, period_from);
CREATE INDEX retainer_period_to_open ON retainer_period (period_from) WHERE status = 'planned';
CREATE INDEX retainer_period_to_close ON retainer_period (period_to) WHERE status = 'open';

-- What is left in a period of the block of one period, its own or one carried on, with what that
-- was paid; `expires_on` is the last day of work that may draw on it, null for no such day.
CREATE TABLE retainer_bucket (
    retainer_period_id uuid    NOT NULL REFERENCES retainer_period,
    origin_period_id   uuid    NOT NULL REFERENCES retainer_period,
    quantity           numeric NOT NULL CHECK (quantity >= 0 AND quantity < 'Infinity'),
    value              numeric NOT NULL CHECK (value >= 0 AND value < 'Infinity'),
    expires_on         date,
    PRIMARY KEY (retainer_period_id, origin_period_id)
) WITH (fillfactor = 70);

CREATE TABLE retainer_entry (
    retainer_entry_id  uuid        PRIMARY KEY,
    retainer_period_id uuid        NOT NULL REFERENCES retainer_period,
    origin_period_id   uuid        NOT NULL REFERENCES retainer_period,
    kind               text        NOT NULL CHECK (kind IN (
        'grant', 'top_up', 'draw', 'give_back', 'carry_out', 'carry_in', 'lapse')),
    quantity           numeric     NOT NULL
        CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    value              numeric     NOT NULL
        CHECK (value > '-Infinity' AND value < 'Infinity'),
    billing_event_id   uuid        REFERENCES billing_event,
    recorded_at        timestamptz NOT NULL,
    CHECK ((kind IN ('draw', 'give_back')) = (billing_event_id IS NOT NULL))
);
COMMENT ON TABLE retainer_entry IS
    'append-only: the balance of a period is the sum of its entries';
CREATE INDEX retainer_entry_by_period ON retainer_entry (retainer_period_id, retainer_entry_id);
CREATE UNIQUE INDEX retainer_entry_once_for_each_row ON retainer_entry (billing_event_id, kind)
    WHERE billing_event_id IS NOT NULL;

-- More of a block, as one person wants it and another approves.
CREATE TABLE retainer_top_up (
    retainer_top_up_id uuid        PRIMARY KEY,
    version            integer     NOT NULL CHECK (version > 0),
    retainer_period_id uuid        NOT NULL REFERENCES retainer_period,
    legal_entity_id    uuid        NOT NULL,
    quantity           numeric     NOT NULL CHECK (quantity > 0 AND quantity < 'Infinity'),
    price              numeric     NOT NULL CHECK (price >= 0 AND price < 'Infinity'),
    currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status             text        NOT NULL CHECK (status IN ('proposed', 'approved', 'rejected')),
    reason             text        NOT NULL,
    proposed_by        text        NOT NULL,
    proposed_at        timestamptz NOT NULL,
    decided_by         text,
    decided_at         timestamptz,
    comment            text        NOT NULL,
    CHECK (num_nulls(decided_by, decided_at) = CASE status WHEN 'proposed' THEN 2 ELSE 0 END),
    CONSTRAINT retainer_top_up_takes_two CHECK (status <> 'approved' OR decided_by <> proposed_by)
);
CREATE INDEX retainer_top_up_by_period ON retainer_top_up (retainer_period_id);
"""

_DRAWS = """
ALTER TABLE billing_event
    ADD CONSTRAINT billing_event_drawn_on FOREIGN KEY (retainer_period_id)
        REFERENCES retainer_period,
    -- What a block was paid is shared out over its hours to the cent, so a draw is its share and
    -- its rate only the sixth decimal of that for one hour. No document prints it.
    DROP CONSTRAINT billing_event_is_quantity_times_rate,
    ADD CONSTRAINT billing_event_is_quantity_times_rate CHECK (
        abs(amount - quantity * unit_rate)
        <= 0.000001 * CASE treatment WHEN 'drawn' THEN greatest(abs(quantity), 1) ELSE 1 END);
"""
# Work on retainers that waited because nothing could be drawn on is judged again.
_WAITING = """
UPDATE fact_epoch SET epoch = epoch + 1;
UPDATE contract_state SET epoch = (SELECT epoch FROM fact_epoch)
WHERE contract_id IN (SELECT contract_id FROM hold
                      WHERE cleared_at IS NULL AND reason = 'unmapped');
"""


def upgrade() -> None:
    run_sql(op, _PERIODS)
    run_sql(op, _DRAWS)
    run_sql(op, _WAITING)
