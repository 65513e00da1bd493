"""Templates are approved; runs amend, split by entity and region, and keep their steps."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0006"
down_revision = "0005"

_SQL = """
-- What was published at once before counts as proposed and approved by the same act.
ALTER TABLE template RENAME COLUMN published_at TO proposed_at;
ALTER TABLE template RENAME COLUMN published_by TO proposed_by;
ALTER TABLE template DROP CONSTRAINT template_billing_models_check;
ALTER TABLE template ADD CONSTRAINT template_billing_models_check CHECK (
    cardinality(billing_models) > 0
    AND billing_models <@ ARRAY['time_and_materials', 'fixed_fee', 'recurring', 'pass_through',
                                'retainer', 'usage']
);
CREATE TABLE template_decision (
    code       text        NOT NULL,
    version    integer     NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('published', 'rejected', 'withdrawn')),
    decided_at timestamptz NOT NULL,
    decided_by text        NOT NULL,
    comment    text        NOT NULL,
    PRIMARY KEY (code, version),
    FOREIGN KEY (code, version) REFERENCES template (code, version)
);
COMMENT ON TABLE template_decision IS 'append-only: a version is decided once';
INSERT INTO template_decision (code, version, outcome, decided_at, decided_by, comment)
SELECT code, version, 'published', proposed_at, proposed_by, '' FROM template;

-- A contract has one run that delivers it, and one more for each version of its terms after that.
ALTER TABLE provisioning_run
    ADD COLUMN kind text NOT NULL DEFAULT 'delivery' CHECK (kind IN ('delivery', 'amendment')),
    ADD COLUMN contract_version integer NOT NULL DEFAULT 1 CHECK (contract_version > 0),
    ADD COLUMN change_order_id uuid,
    ADD COLUMN project_ids uuid[] NOT NULL DEFAULT '{}',
    DROP CONSTRAINT provisioning_run_contract_id_key,
    DROP CONSTRAINT provisioning_run_check;
UPDATE provisioning_run SET project_ids = ARRAY[project_id] WHERE project_id IS NOT NULL;
-- A run that was cancelled after it was activated still names what it closed.
ALTER TABLE provisioning_run ADD CHECK (
    CASE state WHEN 'activated' THEN project_id IS NOT NULL
               WHEN 'cancelled' THEN true
               ELSE project_id IS NULL END
);
CREATE UNIQUE INDEX provisioning_run_delivery ON provisioning_run (contract_id)
    WHERE kind = 'delivery';
CREATE UNIQUE INDEX provisioning_run_by_contract
    ON provisioning_run (contract_id, contract_version);
DROP INDEX provisioning_run_due;
CREATE INDEX provisioning_run_due ON provisioning_run (due_at)
    WHERE state IN ('received', 'validating', 'provisioning', 'paused');

CREATE TABLE run_step (
    run_id     uuid        NOT NULL REFERENCES provisioning_run,
    version    bigint      NOT NULL CHECK (version > 0),
    from_state text,
    to_state   text        NOT NULL,
    taken_at   timestamptz NOT NULL,
    taken_by   text        NOT NULL,
    reason     text        NOT NULL,
    checks     jsonb       NOT NULL,
    PRIMARY KEY (run_id, version)
);
COMMENT ON TABLE run_step IS 'append-only: the way each run took';

-- Terms that ended before their projects came to be are kept for them.
CREATE TABLE contract_end (
    contract_id  uuid   PRIMARY KEY,
    work_ends_on date   NOT NULL,
    version      bigint NOT NULL CHECK (version > 0)
);

ALTER TABLE project
    ADD COLUMN region text NOT NULL DEFAULT '',
    ADD COLUMN master_project_id uuid REFERENCES project,
    ADD COLUMN selling_legal_entity_id uuid,
    ADD COLUMN contract_version integer NOT NULL DEFAULT 1 CHECK (contract_version > 0),
    ADD COLUMN manager_person_id uuid REFERENCES person,
    ADD COLUMN work_ends_on date,
    ADD COLUMN closed_reason text NOT NULL DEFAULT '',
    DROP CONSTRAINT project_contract_id_legal_entity_id_key,
    ADD UNIQUE (contract_id, legal_entity_id, region);
UPDATE project SET selling_legal_entity_id = legal_entity_id;
ALTER TABLE project ALTER COLUMN selling_legal_entity_id SET NOT NULL;

ALTER TABLE project_line
    ADD COLUMN starts_on date,
    ADD COLUMN ends_on date,
    ADD COLUMN ended_on date,
    ADD COLUMN template text NOT NULL DEFAULT '',
    DROP CONSTRAINT project_line_billing_model_check,
    ADD CONSTRAINT project_line_billing_model_check CHECK (billing_model IN
        ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through', 'retainer', 'usage'));
UPDATE project_line SET starts_on = project.starts_on, ends_on = project.ends_on
    FROM project WHERE project.project_id = project_line.project_id;
ALTER TABLE project_line
    ALTER COLUMN starts_on SET NOT NULL,
    ALTER COLUMN ends_on SET NOT NULL,
    ADD CHECK (starts_on < ends_on);

-- The cost, the hours and the expenses a line is planned to take; its revenue is its net total.
CREATE TABLE project_budget (
    project_id       uuid           NOT NULL REFERENCES project,
    contract_line_id uuid           NOT NULL,
    kind             text           NOT NULL CHECK (kind IN ('cost', 'hours', 'expenses')),
    amount           numeric(18, 6) NOT NULL CHECK (amount >= 0 AND amount < 'Infinity'),
    PRIMARY KEY (project_id, contract_line_id, kind)
);

ALTER TABLE task
    ADD COLUMN parent_task_id uuid REFERENCES task,
    ADD COLUMN wbs_code text NOT NULL DEFAULT '',
    ADD COLUMN starts_on date,
    ADD COLUMN ends_on date,
    ADD COLUMN planned_minutes integer CHECK (planned_minutes >= 0),
    ADD COLUMN work_ends_on date,
    ADD CHECK (starts_on < ends_on);
UPDATE task SET wbs_code = position::text;
"""


def upgrade() -> None:
    run_sql(op, _SQL)
