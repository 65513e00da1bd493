"""Connections, how far they were read, the crosswalk, and stored callbacks."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- Secrets are never here: secret_ref names a file of the deployment.
        CREATE TABLE connection (
            name             text     PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
            vendor           text     NOT NULL,
            base_url         text     NOT NULL,
            client_id        text     NOT NULL,
            secret_ref       text     NOT NULL,
            enabled          boolean  NOT NULL,
            legal_entity_id  uuid,
            mapping          jsonb    NOT NULL,
            poll_seconds     integer  NOT NULL CHECK (poll_seconds >= 0),
            version          bigint   NOT NULL CHECK (version > 0)
        );

        -- The cursor is the other system's clock; it only moves past what was brought in.
        CREATE TABLE sync_state (
            name              text         PRIMARY KEY REFERENCES connection (name),
            read_up_to        timestamptz,
            requested_at      timestamptz,
            last_started_at   timestamptz,
            last_finished_at  timestamptz,
            imported          bigint       NOT NULL DEFAULT 0,
            unchanged         bigint       NOT NULL DEFAULT 0,
            refused           bigint       NOT NULL DEFAULT 0,
            last_error        text         NOT NULL DEFAULT ''
        );

        CREATE TABLE crosswalk_link (
            crosswalk_link_id  uuid         PRIMARY KEY,
            system             text         NOT NULL,
            object_type        text         NOT NULL,
            source_object_id   text         NOT NULL,
            object_kind        text         NOT NULL,
            object_id          uuid         NOT NULL,
            linked_at          timestamptz  NOT NULL,
            UNIQUE (system, object_type, source_object_id, object_kind)
        );

        CREATE INDEX crosswalk_link_by_object ON crosswalk_link (object_id);

        -- The body as it arrived: the signature covers exactly these bytes.
        CREATE TABLE webhook (
            webhook_id   uuid         PRIMARY KEY,
            provider     text         NOT NULL,
            event_id     text         NOT NULL,
            event_type   text         NOT NULL,
            body         bytea        NOT NULL,
            status       text         NOT NULL
                CHECK (status IN ('received', 'done', 'ignored', 'failed')),
            deliveries   integer      NOT NULL CHECK (deliveries > 0),
            attempts     integer      NOT NULL DEFAULT 0,
            due_at       timestamptz  NOT NULL,
            received_at  timestamptz  NOT NULL,
            reason       text         NOT NULL DEFAULT '',
            UNIQUE (provider, event_id)
        );

        CREATE INDEX webhook_due ON webhook (due_at) WHERE status = 'received';
        """,
    )
