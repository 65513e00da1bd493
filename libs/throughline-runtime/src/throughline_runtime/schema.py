"""The tables every service has: made by its first migration, known to its metadata.

A table whose comment begins with `append-only` is never updated, deleted from or truncated:
`migrate` withholds the privileges and adds a trigger. Services mark their own tables the same way.
"""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.schema import SchemaItem

if TYPE_CHECKING:  # Only migrations need Alembic, which is slow to import.
    from alembic.operations import Operations

APPEND_ONLY: Final = "append-only"
RETENTION_DAYS: Final = 35
"""How long outbox, inbox and remembered requests are kept: far beyond any stream's own age."""

METADATA: Final = MetaData()


def _instant(name: str, *, default: bool = False, nullable: bool = False) -> Column[Any]:
    server_default = func.now() if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)


def _table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    return Table(name, METADATA, *items, comment=comment)


once_request: Final = _table(
    "once_request",
    Column("caller", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("reply", LargeBinary),
    _instant("created_at", default=True),
    Index("once_request_by_created_at", "created_at", postgresql_using="brin"),
)

outbox: Final = _table(
    "outbox",
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("lane", SmallInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_version", BigInteger, nullable=False),
    Column("correlation_id", Uuid),
    Column("engagement_id", Uuid),
    Column("traceparent", Text),
    Column("republished", SmallInteger, nullable=False, server_default=text("0")),
    _instant("created_at", default=True),
    _instant("published_at", nullable=True),
    Index("outbox_pending", "lane", "position", postgresql_where=text("published_at IS NULL")),
    Index("outbox_by_created_at", "created_at", postgresql_using="brin"),
)

inbox: Final = _table(
    "inbox",
    Column("durable", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    _instant("received_at", default=True),
    Index("inbox_by_received_at", "received_at", postgresql_using="brin"),
)

parked_event: Final = _table(
    "parked_event",
    Column("parked_id", Uuid, primary_key=True),
    Column("durable", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("subject", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("stream_sequence", BigInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("replays", SmallInteger, nullable=False, server_default=text("0")),
    _instant("parked_at", default=True),
    _instant("redeliver_at", nullable=True),
    _instant("resolved_at", nullable=True),
    Column("resolved_by", Text),
    Column("resolution", Text),
    CheckConstraint("status IN ('parked', 'replayed', 'discarded')"),
    CheckConstraint("(status = 'parked') = (resolved_at IS NULL)"),
    CheckConstraint("redeliver_at IS NULL OR status = 'replayed'"),
    UniqueConstraint("durable", "event_id"),
    Index("parked_event_by_status", "status", "parked_id"),
    Index("parked_event_due", "redeliver_at", postgresql_where=text("redeliver_at IS NOT NULL")),
)

audit_entry: Final = _table(
    "audit_entry",
    Column("audit_id", Uuid, primary_key=True),
    _instant("at", default=True),
    Column("method", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("actor", Text),
    Column("request_id", Text, nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("aggregate_ids", ARRAY(Uuid), nullable=False),
    Column("correlation_id", Uuid),
    Column("engagement_id", Uuid),
    Index("audit_entry_by_aggregate", "aggregate_ids", postgresql_using="gin"),
    Index(
        "audit_entry_by_engagement",
        "engagement_id",
        "audit_id",
        postgresql_where=text("engagement_id IS NOT NULL"),
    ),
    comment=f"{APPEND_ONLY}: who did what, one row for each command that took effect",
)

audit_seal: Final = _table(
    "audit_seal",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("audit_id", Uuid, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False, unique=True),
    comment=f"{APPEND_ONLY}: the hash chain over audit_entry",
)

exception_item: Final = _table(
    "exception_item",
    Column("exception_id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("legal_entity_id", Uuid),
    Column("engagement_id", Uuid),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    Column("occurrences", Integer, nullable=False, server_default=text("1")),
    _instant("opened_at", default=True),
    _instant("closed_at", nullable=True),
    Index(
        "exception_item_open",
        "kind",
        "subject_id",
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
    ),
)

exception_note: Final = _table(
    "exception_note",
    Column("note_id", Uuid, primary_key=True),
    Column("exception_id", Uuid, ForeignKey("exception_item.exception_id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),
    _instant("written_at", default=True),
    Index("exception_note_by_exception", "exception_id", "note_id"),
    comment=f"{APPEND_ONLY}: what was found or done about an exception",
)

ownership_rule: Final = _table(
    "ownership_rule",
    Column("object", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("allowed", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("put_by", Text, nullable=False),
    _instant("put_at", default=True),
    CheckConstraint("action IN ('*', 'create', 'update', 'approve', 'close')"),
    CheckConstraint("version > 0"),
    comment=f"{APPEND_ONLY}: which outside system may do what; the latest version is in force",
)

schedule_run: Final = _table(
    "schedule_run",
    Column("name", Text, primary_key=True),
    _instant("started_at"),
    _instant("finished_at", nullable=True),
    Column("failure", Text),
)

# Written out, because the migration that runs it must not change when the tables above do.
_V1: Final = """
-- Requests that took effect, with the reply a repetition gets. The reply is null only inside the
-- transaction that writes it: the row comes first, so that a concurrent twin waits on it.
CREATE TABLE once_request (
    caller     text        NOT NULL,
    method     text        NOT NULL,
    request_id text        NOT NULL CHECK (length(request_id) BETWEEN 1 AND 255),
    digest     bytea       NOT NULL,
    reply      bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, method, request_id)
);
CREATE INDEX once_request_by_created_at ON once_request USING brin (created_at);

-- Events committed with the change they tell of. The position follows commit order within an
-- aggregate, whose row its writer holds locked. Dead index entries are swept often, because the
-- relay reads past them on each poll.
CREATE TABLE outbox (
    position          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id          uuid        NOT NULL UNIQUE,
    lane              smallint    NOT NULL CHECK (lane >= 0),
    subject           text        NOT NULL,
    schema            text        NOT NULL,
    payload           bytea       NOT NULL,
    aggregate_id      uuid        NOT NULL,
    aggregate_version bigint      NOT NULL CHECK (aggregate_version > 0),
    correlation_id    uuid,
    engagement_id     uuid,
    traceparent       text,
    republished       smallint    NOT NULL DEFAULT 0 CHECK (republished >= 0),
    created_at        timestamptz NOT NULL DEFAULT now(),
    published_at      timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_pending ON outbox (lane, position) WHERE published_at IS NULL;
CREATE INDEX outbox_by_created_at ON outbox USING brin (created_at);

-- Events each durable has taken: the guarantee that none takes effect twice.
CREATE TABLE inbox (
    durable     text        NOT NULL,
    event_id    uuid        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (durable, event_id)
);
CREATE INDEX inbox_by_received_at ON inbox USING brin (received_at);

-- Messages no retry will heal, until a person replays or discards them.
CREATE TABLE parked_event (
    parked_id       uuid        PRIMARY KEY,
    durable         text        NOT NULL,
    event_id        uuid        NOT NULL,
    subject         text        NOT NULL,
    stream          text        NOT NULL,
    stream_sequence bigint      NOT NULL,
    headers         jsonb       NOT NULL,
    payload         bytea       NOT NULL,
    reason_code     text        NOT NULL,
    reason          text        NOT NULL,
    owner           text        NOT NULL,
    attempts        integer     NOT NULL,
    status          text        NOT NULL CHECK (status IN ('parked', 'replayed', 'discarded')),
    replays         smallint    NOT NULL DEFAULT 0,
    parked_at       timestamptz NOT NULL DEFAULT now(),
    redeliver_at    timestamptz,
    resolved_at     timestamptz,
    resolved_by     text,
    resolution      text,
    UNIQUE (durable, event_id),
    CHECK ((status = 'parked') = (resolved_at IS NULL)),
    CHECK (redeliver_at IS NULL OR status = 'replayed')
);
CREATE INDEX parked_event_by_status ON parked_event (status, parked_id);
CREATE INDEX parked_event_due ON parked_event (redeliver_at) WHERE redeliver_at IS NOT NULL;

CREATE TABLE audit_entry (
    audit_id       uuid        PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT now(),
    method         text        NOT NULL,
    caller         text        NOT NULL,
    actor          text,
    request_id     text        NOT NULL,
    request_digest bytea       NOT NULL,
    aggregate_ids  uuid[]      NOT NULL,
    correlation_id uuid,
    engagement_id  uuid
);
CREATE INDEX audit_entry_by_aggregate ON audit_entry USING gin (aggregate_ids);
CREATE INDEX audit_entry_by_engagement ON audit_entry (engagement_id, audit_id)
    WHERE engagement_id IS NOT NULL;
COMMENT ON TABLE audit_entry IS
    'append-only: who did what, one row for each command that took effect';

-- No two seals follow the same one, so the chain cannot fork.
CREATE TABLE audit_seal (
    seq           bigint PRIMARY KEY CHECK (seq > 0),
    audit_id      uuid   NOT NULL UNIQUE,
    hash          bytea  NOT NULL,
    previous_hash bytea  NOT NULL UNIQUE
);
COMMENT ON TABLE audit_seal IS 'append-only: the hash chain over audit_entry';

-- What waits for a person: one open row for each subject and kind, however often it recurs.
CREATE TABLE exception_item (
    exception_id    uuid        PRIMARY KEY,
    kind            text        NOT NULL,
    subject_id      uuid        NOT NULL,
    reason          text        NOT NULL,
    owner           text        NOT NULL,
    advice          text        NOT NULL,
    legal_entity_id uuid,
    engagement_id   uuid,
    detail          jsonb       NOT NULL DEFAULT '{}',
    occurrences     integer     NOT NULL DEFAULT 1,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    closed_at       timestamptz
);
CREATE UNIQUE INDEX exception_item_open ON exception_item (kind, subject_id)
    WHERE closed_at IS NULL;

CREATE TABLE exception_note (
    note_id      uuid        PRIMARY KEY,
    exception_id uuid        NOT NULL REFERENCES exception_item,
    text         text        NOT NULL,
    author       text        NOT NULL,
    written_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX exception_note_by_exception ON exception_note (exception_id, note_id);
COMMENT ON TABLE exception_note IS
    'append-only: what was found or done about an exception';

-- When each periodic job last began, so that a restart does not run all of them anew.
CREATE TABLE schedule_run (
    name        text        PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    failure     text
);
"""


def create_v1(op: "Operations") -> None:
    """Create the runtime's tables: all that a service's first migration does."""
    run_sql(op, _V1)


def run_sql(op: "Operations", script: str) -> None:
    """Run a script of several statements inside the migration's transaction.

    `op.execute` prepares what it is given, and the server prepares one statement at a time.
    """
    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # Opens the transaction, which the dialect puts off.
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(lambda raw: raw.execute(script))


def metadata_tables(metadata: MetaData) -> None:
    """Add the runtime's tables to a service's metadata, so that drift is judged on the whole."""
    for table in METADATA.sorted_tables:
        table.to_metadata(metadata)
