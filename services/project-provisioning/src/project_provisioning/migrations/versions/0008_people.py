"""Employment, skills, calendars, leave, time rules, costs, lock dates; expenses in depth."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0008"
down_revision = "0007"

_PEOPLE = """
-- What customer-contract says of the firm's companies, as far as people and money here need it.
CREATE TABLE legal_entity (
    legal_entity_id     uuid      PRIMARY KEY,
    version             bigint    NOT NULL CHECK (version > 0),
    code                text      NOT NULL,
    currency            text      NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    time_zone           text      NOT NULL,
    country             text      NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    holiday_country     text      NOT NULL CHECK (holiday_country ~ '^[A-Z]{2}$'),
    holiday_subdivision text      NOT NULL,
    working_days        integer[] NOT NULL
);

CREATE TABLE work_calendar (
    code            text      PRIMARY KEY,
    version         bigint    NOT NULL CHECK (version > 0),
    name            text      NOT NULL,
    country         text      NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    subdivision     text      NOT NULL,
    weekday_minutes integer[] NOT NULL CHECK (cardinality(weekday_minutes) = 7),
    days_off        date[]    NOT NULL
);

-- A range of one id lets a GiST index compare people by equality with what every server has:
-- btree_gist is an extension that not every installation brings.
CREATE TYPE uuid_range AS RANGE (subtype = uuid);

-- Stretches of employment: half-open, one after the other; a stretch is known by its first day.
CREATE TABLE employment (
    person_id         uuid      NOT NULL REFERENCES person,
    valid_from        date      NOT NULL,
    valid_to          date,
    legal_entity_id   uuid      NOT NULL,
    role              text      NOT NULL CHECK (role <> ''),
    level             text      NOT NULL,
    region            text      NOT NULL,
    manager_person_id uuid      REFERENCES person,
    work_calendar     text      REFERENCES work_calendar,
    weekday_minutes   integer[] CHECK (cardinality(weekday_minutes) = 7),
    PRIMARY KEY (person_id, valid_from),
    CHECK (valid_from < valid_to),
    CHECK (manager_person_id <> person_id),
    CONSTRAINT employment_overlap EXCLUDE USING gist (
        uuid_range(person_id, person_id, '[]') WITH &&, daterange(valid_from, valid_to) WITH &&
    )
);
CREATE INDEX employment_by_entity ON employment (legal_entity_id, person_id);
CREATE INDEX employment_by_manager ON employment (manager_person_id)
    WHERE manager_person_id IS NOT NULL;
-- What stands on the person is the employment of today from now on, kept for the lists.
INSERT INTO employment (person_id, valid_from, legal_entity_id, role, level, region)
SELECT person_id, employed_from, legal_entity_id, role, level, region FROM person;
-- First day after the last stretch; absent while the employment goes on.
ALTER TABLE person ADD COLUMN employed_to date;

CREATE TABLE skill (
    code     text    PRIMARY KEY,
    version  bigint  NOT NULL CHECK (version > 0),
    name     text    NOT NULL,
    category text    NOT NULL,
    levels   text[]  NOT NULL CHECK (cardinality(levels) BETWEEN 1 AND 10),
    retired  boolean NOT NULL
);

CREATE TABLE person_skill (
    person_id    uuid    NOT NULL REFERENCES person,
    skill_code   text    NOT NULL REFERENCES skill,
    level        integer NOT NULL CHECK (level BETWEEN 1 AND 10),
    valid_from   date    NOT NULL,
    valid_to     date,
    certified_on date,
    certificate  text    NOT NULL,
    PRIMARY KEY (person_id, skill_code),
    CHECK (valid_from < valid_to)
);
CREATE INDEX person_skill_by_skill ON person_skill (skill_code, level);

CREATE TABLE leave (
    leave_id           uuid        PRIMARY KEY,
    version            bigint      NOT NULL CHECK (version > 0),
    person_id          uuid        NOT NULL REFERENCES person,
    legal_entity_id    uuid        NOT NULL,
    kind               text        NOT NULL CHECK (kind IN
        ('vacation', 'sickness', 'parental', 'training', 'unpaid', 'other')),
    starts_on          date        NOT NULL,
    ends_on            date        NOT NULL,
    half_days          boolean     NOT NULL,
    status             text        NOT NULL CHECK (status IN
        ('requested', 'approved', 'rejected', 'cancelled')),
    requested_by       text        NOT NULL,
    requested_at       timestamptz NOT NULL,
    decided_by         text,
    decided_at         timestamptz,
    decision_reason    text,
    source_system      text,
    source_object_type text,
    source_object_id   text,
    CHECK (starts_on < ends_on),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK (status = 'requested' OR decided_by IS NOT NULL),
    CONSTRAINT leave_overlap EXCLUDE USING gist (
        uuid_range(person_id, person_id, '[]') WITH &&, daterange(starts_on, ends_on) WITH &&
    ) WHERE (status IN ('requested', 'approved'))
);
CREATE UNIQUE INDEX leave_source ON leave (source_system, source_object_type, source_object_id);
CREATE INDEX leave_by_person ON leave (person_id, starts_on);

-- Rules of the firm, of a country or of a company, for time and for expenses: a version is proposed
-- by one person and activated by another, and holds from a day on.
CREATE TABLE rule_set (
    rule_set_id     uuid        PRIMARY KEY,
    kind            text        NOT NULL CHECK (kind IN ('time', 'expense')),
    scope           text        NOT NULL,
    legal_entity_id uuid,
    country         text        CHECK (country ~ '^[A-Z]{2}$'),
    version         integer     NOT NULL CHECK (version > 0),
    effective_from  date        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('draft', 'active', 'withdrawn')),
    rules           jsonb       NOT NULL,
    proposed_by     text        NOT NULL,
    proposed_at     timestamptz NOT NULL,
    decided_by      text,
    decided_at      timestamptz,
    UNIQUE (kind, scope, version),
    CHECK (num_nonnulls(legal_entity_id, country) <= 1),
    CHECK ((status = 'draft') = (decided_by IS NULL)),
    CHECK (status <> 'active' OR decided_by <> proposed_by)
);
CREATE INDEX rule_set_by_kind ON rule_set (kind, rule_set_id);
"""

_COSTS = """
-- What an hour of a person costs the employer, apart from the employment: fewer people may read it.
-- `decimals` are the currency's, so that entries can be costed where they are stored.
CREATE TABLE person_cost (
    person_id       uuid           NOT NULL REFERENCES person,
    valid_from      date           NOT NULL,
    valid_to        date,
    legal_entity_id uuid           NOT NULL,
    hourly_cost     numeric(18, 6) NOT NULL CHECK (hourly_cost >= 0 AND hourly_cost < 'Infinity'),
    currency        text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    decimals        integer        NOT NULL CHECK (decimals BETWEEN 0 AND 4),
    recorded_by     text           NOT NULL,
    recorded_at     timestamptz    NOT NULL,
    PRIMARY KEY (person_id, valid_from),
    CHECK (valid_from < valid_to),
    CONSTRAINT person_cost_overlap EXCLUDE USING gist (
        uuid_range(person_id, person_id, '[]') WITH &&, daterange(valid_from, valid_to) WITH &&
    )
);

-- The newest version of each company's standard costs, as customer-contract published it.
CREATE TABLE standard_cost_card (
    legal_entity_id   uuid   PRIMARY KEY,
    cost_rate_card_id uuid   NOT NULL,
    version           bigint NOT NULL CHECK (version > 0)
);
CREATE TABLE standard_cost (
    legal_entity_id uuid           NOT NULL REFERENCES standard_cost_card,
    position        integer        NOT NULL CHECK (position > 0),
    role            text           NOT NULL,
    level           text,
    region          text,
    hourly_cost     numeric(18, 6) NOT NULL CHECK (hourly_cost >= 0 AND hourly_cost < 'Infinity'),
    currency        text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    decimals        integer        NOT NULL CHECK (decimals BETWEEN 0 AND 4),
    valid_from      date           NOT NULL,
    valid_to        date,
    PRIMARY KEY (legal_entity_id, position),
    CHECK (valid_from < valid_to)
);

-- No foreign keys, for the same reason as on the entries: one row for each approved entry.
CREATE TABLE time_cost (
    time_entry_id   uuid           PRIMARY KEY,
    person_id       uuid           NOT NULL,
    legal_entity_id uuid           NOT NULL,
    project_id      uuid           NOT NULL,
    task_id         uuid           NOT NULL,
    engagement_id   uuid           NOT NULL,
    work_date       date           NOT NULL,
    minutes         integer        NOT NULL,
    billable        boolean        NOT NULL,
    hourly_cost     numeric(18, 6) NOT NULL CHECK (hourly_cost >= 0 AND hourly_cost < 'Infinity'),
    currency        text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount          numeric(18, 6) NOT NULL CHECK (abs(amount) < 'Infinity'),
    origin          text           NOT NULL CHECK (origin IN ('person', 'card')),
    card_version    bigint,
    costed_at       timestamptz    NOT NULL DEFAULT now(),
    CHECK ((origin = 'card') = (card_version IS NOT NULL))
);
COMMENT ON TABLE time_cost IS 'append-only: a reversal is a row of its own, at the first cost';
CREATE INDEX time_cost_by_project ON time_cost (project_id, work_date);
CREATE INDEX time_cost_by_person ON time_cost (person_id, work_date);

-- Approved entries nobody knows the cost of yet.
CREATE TABLE time_cost_missing (
    time_entry_id uuid PRIMARY KEY,
    person_id     uuid NOT NULL,
    work_date     date NOT NULL
);
CREATE INDEX time_cost_missing_by_person ON time_cost_missing (person_id);

-- First day that is still open in a company's books here: what is dated before it stands.
CREATE TABLE period_lock (
    legal_entity_id uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    open_from       date        NOT NULL,
    changed_by      text        NOT NULL,
    changed_at      timestamptz NOT NULL
);
CREATE TABLE period_lock_change (
    legal_entity_id uuid        NOT NULL,
    version         bigint      NOT NULL CHECK (version > 0),
    open_from       date        NOT NULL,
    reopened        boolean     NOT NULL,
    reason          text        NOT NULL,
    changed_by      text        NOT NULL,
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (legal_entity_id, version)
);
COMMENT ON TABLE period_lock_change IS 'append-only: every move of a lock date';

-- Units of `quote` for one of `base`, as published for a day.
CREATE TABLE exchange_rate (
    base        text            NOT NULL CHECK (base ~ '^[A-Z]{3}$'),
    quote       text            NOT NULL CHECK (quote ~ '^[A-Z]{3}$'),
    rate_on     date            NOT NULL,
    source      text            NOT NULL CHECK (source <> ''),
    rate        numeric(20, 10) NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    recorded_by text            NOT NULL,
    recorded_at timestamptz     NOT NULL,
    PRIMARY KEY (base, quote, rate_on, source),
    CHECK (base <> quote)
);
CREATE INDEX exchange_rate_by_day ON exchange_rate (rate_on, base, quote, source);
"""

_EXPENSES = """
-- What a contract line says about expenses, from the day a version of the terms holds.
CREATE TABLE expense_terms (
    contract_line_id uuid    NOT NULL,
    effective_on     date    NOT NULL,
    contract_version integer NOT NULL CHECK (contract_version > 0),
    policy           jsonb   NOT NULL,
    PRIMARY KEY (contract_line_id, contract_version)
);

ALTER TABLE expense_report DROP CONSTRAINT expense_report_status_check;
ALTER TABLE expense_report ADD CONSTRAINT expense_report_status_check CHECK (status IN
    ('draft', 'submitted', 'approved', 'rejected', 'returned'));
ALTER TABLE expense_report DROP CONSTRAINT expense_report_check;
ALTER TABLE expense_report ADD CONSTRAINT expense_report_check CHECK
    ((status IN ('approved', 'rejected', 'returned')) = (decided_by IS NOT NULL));
ALTER TABLE expense_report DROP CONSTRAINT expense_report_check1;
ALTER TABLE expense_report ADD CONSTRAINT expense_report_check1 CHECK
    ((status IN ('rejected', 'returned')) = (rejection_reason IS NOT NULL));
-- In whose place it was decided, where it was delegated.
ALTER TABLE expense_report ADD COLUMN decided_for text;
CREATE INDEX expense_report_submitted ON expense_report (legal_entity_id, expense_report_id)
    WHERE status = 'submitted';

CREATE TABLE reimbursement (
    reimbursement_id  uuid           PRIMARY KEY,
    person_id         uuid           NOT NULL REFERENCES person,
    legal_entity_id   uuid           NOT NULL,
    amount            numeric(18, 6) NOT NULL CHECK (abs(amount) < 'Infinity'),
    currency          text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    line_count        integer        NOT NULL CHECK (line_count > 0),
    incurred_before   date           NOT NULL,
    payment_reference text           NOT NULL CHECK (payment_reference <> ''),
    paid_on           date           NOT NULL,
    recorded_by       text           NOT NULL,
    recorded_at       timestamptz    NOT NULL
);
CREATE INDEX reimbursement_by_person ON reimbursement (person_id, reimbursement_id);

-- A cost in the employer's currency keeps what the receipt said, and the rate between the two.
ALTER TABLE expense_line
    ADD COLUMN receipt_net_amount       numeric(18, 6),
    ADD COLUMN receipt_tax_amount       numeric(18, 6),
    ADD COLUMN receipt_currency         text CHECK (receipt_currency ~ '^[A-Z]{3}$'),
    ADD COLUMN exchange_rate            numeric(20, 10) CHECK (exchange_rate > 0),
    ADD COLUMN exchange_rate_source     text,
    ADD COLUMN exchange_rate_on         date,
    ADD COLUMN taxes                    jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN justification            text NOT NULL DEFAULT '',
    ADD COLUMN reverses_expense_line_id uuid REFERENCES expense_line,
    ADD COLUMN reversal_reason          text NOT NULL DEFAULT '',
    ADD COLUMN approved_at              timestamptz,
    ADD COLUMN reimbursement_id         uuid REFERENCES reimbursement,
    ADD CONSTRAINT expense_line_exchange CHECK (
        num_nonnulls(receipt_net_amount, receipt_tax_amount, receipt_currency, exchange_rate,
                     exchange_rate_source, exchange_rate_on) IN (0, 6)),
    DROP CONSTRAINT expense_line_net_amount_check,
    DROP CONSTRAINT expense_line_tax_amount_check,
    ADD CONSTRAINT expense_line_net_amount_check CHECK (
        abs(net_amount) < 'Infinity' AND net_amount <> 0
        AND (net_amount < 0) = (reverses_expense_line_id IS NOT NULL)),
    ADD CONSTRAINT expense_line_tax_amount_check CHECK (
        abs(tax_amount) < 'Infinity'
        AND (tax_amount = 0 OR (tax_amount < 0) = (reverses_expense_line_id IS NOT NULL)));
ALTER TABLE expense_line ALTER COLUMN taxes DROP DEFAULT;
ALTER TABLE expense_line ALTER COLUMN justification DROP DEFAULT;
ALTER TABLE expense_line ALTER COLUMN reversal_reason DROP DEFAULT;
UPDATE expense_line AS line SET approved_at = report.decided_at
FROM expense_report AS report
WHERE report.expense_report_id = line.expense_report_id AND report.status = 'approved';
-- A line is taken back once.
CREATE UNIQUE INDEX expense_line_reversal ON expense_line (reverses_expense_line_id)
    WHERE reverses_expense_line_id IS NOT NULL;
CREATE INDEX expense_line_to_reimburse ON expense_line (incurred_on)
    WHERE reimbursable AND approved_at IS NOT NULL AND reimbursement_id IS NULL;

-- What a policy says against a line, and who of finance let it pass all the same.
CREATE TABLE expense_finding (
    expense_line_id  uuid        NOT NULL REFERENCES expense_line ON DELETE CASCADE,
    rule             text        NOT NULL,
    severity         text        NOT NULL CHECK (severity IN ('warn', 'stop')),
    explanation      text        NOT NULL,
    excepted_by      text,
    excepted_at      timestamptz,
    exception_reason text,
    PRIMARY KEY (expense_line_id, rule),
    CHECK (num_nonnulls(excepted_by, excepted_at, exception_reason) IN (0, 3))
);

-- A cost of another system that lacks its project or its tax treatment waits here for somebody who
-- knows; nothing of it is lost, and nothing of it is paid or billed.
CREATE TABLE unassigned_expense (
    expense_id         uuid           PRIMARY KEY,
    version            bigint         NOT NULL CHECK (version > 0),
    status             text           NOT NULL CHECK (status IN
        ('unassigned', 'assigned', 'discarded')),
    person_id          uuid           NOT NULL REFERENCES person,
    legal_entity_id    uuid           NOT NULL,
    title              text           NOT NULL,
    project_id         uuid,
    contract_line_id   uuid,
    incurred_on        date           NOT NULL,
    category           text           NOT NULL,
    description        text           NOT NULL,
    net_amount         numeric(18, 6) NOT NULL CHECK (abs(net_amount) < 'Infinity'),
    tax_amount         numeric(18, 6) CHECK (abs(tax_amount) < 'Infinity'),
    currency           text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    taxes              jsonb          NOT NULL,
    billable           boolean,
    reimbursable       boolean        NOT NULL,
    receipt_sha256     text           REFERENCES document,
    justification      text           NOT NULL,
    source_system      text           NOT NULL,
    source_object_type text           NOT NULL,
    source_object_id   text           NOT NULL,
    reason             text           NOT NULL,
    expense_report_id  uuid           REFERENCES expense_report,
    decided_by         text,
    UNIQUE (source_system, source_object_type, source_object_id),
    CHECK ((status = 'assigned') = (expense_report_id IS NOT NULL))
);
CREATE INDEX unassigned_expense_by_status ON unassigned_expense (status, expense_id);
"""


def upgrade() -> None:
    for script in (_PEOPLE, _COSTS, _EXPENSES):
        run_sql(op, script)
