"""Expense reports, and the documents that prove expenses and acceptances."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0004"
down_revision = "0003"

_SQL = """
-- Apart from the rows that name them, so that no list ever reads a file. Receipts and scans are
-- compressed already.
CREATE TABLE document (
    sha256       text        PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    content_type text        NOT NULL CHECK (content_type IN
        ('application/pdf', 'image/png', 'image/jpeg')),
    content      bytea       NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 5000000),
    uploaded_by  text        NOT NULL,
    uploaded_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE document ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE document IS 'append-only: known by the hash of their content';

CREATE TABLE expense_report (
    expense_report_id uuid        PRIMARY KEY,
    version           bigint      NOT NULL CHECK (version > 0),
    person_id         uuid        NOT NULL REFERENCES person,
    legal_entity_id   uuid        NOT NULL,
    title             text        NOT NULL,
    status            text        NOT NULL CHECK (status IN
        ('draft', 'submitted', 'approved', 'rejected')),
    submitted_by      text,
    submitted_at      timestamptz,
    decided_by        text,
    decided_at        timestamptz,
    rejection_reason  text,
    CHECK ((status IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
    CHECK ((status = 'rejected') = (rejection_reason IS NOT NULL))
);
CREATE INDEX expense_report_by_person ON expense_report (person_id, expense_report_id);

CREATE TABLE expense_line (
    expense_line_id    uuid           PRIMARY KEY,
    expense_report_id  uuid           NOT NULL REFERENCES expense_report,
    position           integer        NOT NULL CHECK (position > 0),
    project_id         uuid           NOT NULL REFERENCES project,
    contract_id        uuid           NOT NULL,
    contract_line_id   uuid,
    engagement_id      uuid           NOT NULL,
    incurred_on        date           NOT NULL,
    category           text           NOT NULL CHECK (category IN
        ('travel', 'accommodation', 'meals', 'software', 'other')),
    description        text           NOT NULL,
    net_amount         numeric(18, 6) NOT NULL CHECK (net_amount > 0 AND net_amount < 'Infinity'),
    tax_amount         numeric(18, 6) NOT NULL CHECK (tax_amount >= 0 AND tax_amount < 'Infinity'),
    currency           text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    billable           boolean        NOT NULL,
    reimbursable       boolean        NOT NULL,
    receipt_sha256     text           REFERENCES document,
    source_system      text,
    source_object_type text,
    source_object_id   text,
    UNIQUE (expense_report_id, position),
    CHECK (billable = (contract_line_id IS NOT NULL))
);
CREATE INDEX expense_line_by_project ON expense_line (project_id);
CREATE INDEX expense_line_by_receipt ON expense_line (receipt_sha256)
    WHERE receipt_sha256 IS NOT NULL;
"""


def upgrade() -> None:
    run_sql(op, _SQL)
