"""Other rules run beside the live ones, without effect."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0017"
down_revision = "0016"

_SHADOW = """
-- Work is looked at in the order it was recorded; the cursor is the last thing compared. `rules` is
-- the message they were sent as.
CREATE TABLE shadow_run (
    shadow_run_id    uuid        PRIMARY KEY,
    version          bigint      NOT NULL CHECK (version > 0),
    name             text        NOT NULL,
    rules            bytea       NOT NULL,
    contract_id      uuid,
    legal_entity_id  uuid,
    legal_entity_ids uuid[],
    service_from     date,
    service_through  date,
    is_live          boolean     NOT NULL,
    status           text        NOT NULL CHECK (status IN ('running', 'stopped', 'done')),
    items_rated      bigint      NOT NULL CHECK (items_rated >= 0),
    items_different  bigint      NOT NULL CHECK (items_different BETWEEN 0 AND items_rated),
    totals           jsonb       NOT NULL CHECK (jsonb_typeof(totals) = 'object'),
    cursor_at        timestamptz NOT NULL,
    cursor_id        uuid,
    started_by       text        NOT NULL,
    started_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    CHECK ((status = 'done') = (finished_at IS NOT NULL)),
    CHECK (NOT is_live OR status <> 'done')
);
CREATE INDEX shadow_run_running ON shadow_run (shadow_run_id) WHERE status = 'running';

CREATE TABLE shadow_difference (
    shadow_run_id      uuid NOT NULL REFERENCES shadow_run,
    service_from       date NOT NULL,
    source_item_id     uuid NOT NULL REFERENCES source_item,
    contract_id        uuid NOT NULL,
    contract_line_id   uuid NOT NULL,
    type               text NOT NULL,
    person_id          uuid,
    currency           text CHECK (currency ~ '^[A-Z]{3}$'),
    live_outcome       text NOT NULL CHECK (live_outcome IN ('priced', 'held', 'covered')),
    live_amount        numeric CHECK (live_amount > '-Infinity' AND live_amount < 'Infinity'),
    live_quantity      numeric CHECK (live_quantity > '-Infinity' AND live_quantity < 'Infinity'),
    live_explanation   text NOT NULL,
    shadow_outcome     text NOT NULL CHECK (shadow_outcome IN ('priced', 'held', 'covered')),
    shadow_amount      numeric CHECK (shadow_amount > '-Infinity' AND shadow_amount < 'Infinity'),
    shadow_quantity    numeric
        CHECK (shadow_quantity > '-Infinity' AND shadow_quantity < 'Infinity'),
    shadow_explanation text NOT NULL,
    PRIMARY KEY (shadow_run_id, service_from, source_item_id),
    CHECK ((live_outcome = 'priced') = (live_amount IS NOT NULL)),
    CHECK ((shadow_outcome = 'priced') = (shadow_amount IS NOT NULL)),
    CHECK ((currency IS NULL) = (live_amount IS NULL AND shadow_amount IS NULL))
);
COMMENT ON TABLE shadow_difference IS 'append-only: what a comparison found';

CREATE INDEX source_item_by_recorded ON source_item (recorded_at, source_item_id);
"""


def upgrade() -> None:
    run_sql(op, _SHADOW)
