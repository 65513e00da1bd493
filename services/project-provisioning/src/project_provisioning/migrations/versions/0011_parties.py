"""What open projects follow: their customer, their legal entities, and who leads them."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0011"
down_revision = "0010"

_SQL = """
CREATE TABLE customer (
    customer_id         uuid    PRIMARY KEY,
    version             bigint  NOT NULL CHECK (version > 0),
    number              text    NOT NULL,
    name                text    NOT NULL,
    parent_customer_id  uuid,
    bill_to_customer_id uuid,
    payer_customer_id   uuid,
    address             text    NOT NULL,
    tax_id              text    NOT NULL,
    tax_status          text    NOT NULL,
    ended_on            date,
    credit_hold         boolean NOT NULL,
    credit_hold_reason  text    NOT NULL
);
CREATE INDEX customer_stopped ON customer (customer_id) WHERE credit_hold OR ended_on IS NOT NULL;

ALTER TABLE legal_entity
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN closed_through date;

-- What a project was last brought to; a closed one keeps it.
ALTER TABLE project
    ADD COLUMN customer jsonb CHECK (jsonb_typeof(customer) = 'object'),
    ADD COLUMN legal_entity jsonb CHECK (jsonb_typeof(legal_entity) = 'object'),
    ADD COLUMN selling_entity_version bigint NOT NULL DEFAULT 0
        CHECK (selling_entity_version >= 0);
CREATE INDEX project_open_by_customer ON project (customer_id, project_id)
    WHERE status = 'active';
CREATE INDEX project_open_by_entity ON project (legal_entity_id, project_id)
    WHERE status = 'active';
CREATE INDEX project_open_by_seller ON project (selling_legal_entity_id, project_id)
    WHERE status = 'active';
CREATE INDEX project_open_by_manager ON project (manager_person_id, project_id)
    WHERE status = 'active';

-- Parties whose open projects have still to follow; the row goes once the last one has.
CREATE TABLE party_following (
    party    text        NOT NULL CHECK (party IN ('customer', 'legal_entity')),
    party_id uuid        NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, party_id)
);

CREATE TABLE manager_handover (
    handover_id     uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    status          text        NOT NULL
        CHECK (status IN ('waiting', 'running', 'done', 'cancelled')),
    from_person_id  uuid        NOT NULL REFERENCES person,
    to_person_id    uuid        NOT NULL REFERENCES person CHECK (to_person_id <> from_person_id),
    legal_entity_id uuid,
    customer_id     uuid,
    project_ids     uuid[]      NOT NULL,
    -- Legal entities the one who asked was limited to; null = not limited.
    entities        uuid[],
    effective_on    date        NOT NULL,
    reason          text        NOT NULL,
    moved_projects  integer     NOT NULL CHECK (moved_projects >= 0),
    pending         jsonb       NOT NULL CHECK (jsonb_typeof(pending) = 'object'),
    requested_by    text        NOT NULL,
    requested_at    timestamptz NOT NULL,
    finished_at     timestamptz,
    CHECK ((finished_at IS NOT NULL) = (status IN ('done', 'cancelled')))
);
CREATE INDEX manager_handover_due ON manager_handover (effective_on, handover_id)
    WHERE status IN ('waiting', 'running');

CREATE TABLE project_change (
    project_change_id uuid        PRIMARY KEY,
    project_id        uuid        NOT NULL REFERENCES project,
    project_version   bigint      NOT NULL CHECK (project_version > 0),
    kind              text        NOT NULL
        CHECK (kind IN ('customer', 'delivering_entity', 'selling_entity', 'manager')),
    subject_id        uuid        CHECK (subject_id IS NOT NULL OR kind = 'manager'),
    subject_version   bigint      NOT NULL CHECK (subject_version >= 0),
    facts             jsonb       NOT NULL CHECK (jsonb_typeof(facts) = 'array'),
    reason            text        NOT NULL,
    changed_by        text        NOT NULL,
    changed_at        timestamptz NOT NULL,
    handover_id       uuid        REFERENCES manager_handover
);
CREATE INDEX project_change_by_project ON project_change (project_id, project_change_id);
COMMENT ON TABLE project_change IS 'append-only: what each project followed, and when';
"""


def upgrade() -> None:
    run_sql(op, _SQL)
