"""Invoice runs and invoices, and what makes an issued invoice immutable."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0004"
down_revision = "0003"

_TABLES = """
CREATE TABLE invoice_run (
    run_id               uuid        PRIMARY KEY,
    version              bigint      NOT NULL CHECK (version > 0),
    legal_entity_id      uuid        NOT NULL,
    cut_off              date        NOT NULL,
    run_key              text        NOT NULL CHECK (run_key <> ''),
    contract_ids         uuid[]      NOT NULL,
    status               text        NOT NULL CHECK (status IN (
        'drafting', 'drafting_stopped', 'drafted', 'approving', 'approved',
        'issuing', 'issuing_stopped', 'issued')),
    started_by           text        NOT NULL,
    started_at           timestamptz NOT NULL,
    approved_by          text        NOT NULL,
    finished_at          timestamptz,
    cursor               uuid,
    contracts_found      integer     NOT NULL CHECK (contracts_found >= 0),
    contracts_done       integer     NOT NULL CHECK (contracts_done >= 0),
    contracts_failed     integer     NOT NULL CHECK (contracts_failed >= 0),
    items_claimed        bigint      NOT NULL CHECK (items_claimed >= 0),
    invoices_drafted     integer     NOT NULL CHECK (invoices_drafted >= 0),
    invoices_tax_pending integer     NOT NULL CHECK (invoices_tax_pending >= 0),
    invoices_approved    integer     NOT NULL CHECK (invoices_approved >= 0),
    invoices_issued      integer     NOT NULL CHECK (invoices_issued >= 0),
    -- Four eyes.
    CHECK (approved_by <> started_by),
    CONSTRAINT invoice_run_once UNIQUE (legal_entity_id, cut_off, run_key)
);
CREATE INDEX invoice_run_working ON invoice_run (run_id)
    WHERE status IN ('drafting', 'approving', 'issuing');

CREATE TABLE invoice (
    invoice_id            uuid        PRIMARY KEY,
    version               bigint      NOT NULL CHECK (version > 0),
    document_type         text        NOT NULL CHECK (document_type IN ('invoice')),
    status                text        NOT NULL CHECK (status IN (
        'draft', 'tax_pending', 'ready', 'approved', 'issued', 'partially_paid', 'paid', 'voided')),
    legal_entity_id       uuid        NOT NULL,
    customer_id           uuid        NOT NULL,
    contract_id           uuid        NOT NULL,
    contract_number       text        NOT NULL,
    engagement_id         uuid        NOT NULL,
    correlation_id        uuid        NOT NULL,
    currency              text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    purchase_order_number text        NOT NULL,
    payment_terms_days    integer     NOT NULL CHECK (payment_terms_days BETWEEN 0 AND 365),
    -- Parties and tax treatments as they were when the invoice was made.
    seller                jsonb       NOT NULL,
    buyer                 jsonb       NOT NULL,
    buyer_is_registered   boolean     NOT NULL,
    line_count            integer     NOT NULL CHECK (line_count > 0),
    treatments            jsonb       NOT NULL,
    net_total             numeric     NOT NULL CHECK (abs(net_total) < 1e15),
    tax_total             numeric     NOT NULL CHECK (abs(tax_total) < 1e15),
    gross_total           numeric     NOT NULL CHECK (gross_total = net_total + tax_total),
    paid_total            numeric     NOT NULL
        CHECK (paid_total = 0 OR paid_total > 0 AND paid_total <= gross_total),
    rounding_policy       text        NOT NULL
        CHECK (rounding_policy IN ('en16931', 'per_line', 'precise_sum')),
    service_from          date        NOT NULL,
    service_to            date        NOT NULL CHECK (service_from < service_to),
    tax_point_on          date        NOT NULL,
    run_id                uuid        NOT NULL REFERENCES invoice_run,
    drafted_by            text        NOT NULL,
    approved_by           text        NOT NULL,
    void_reason           text        NOT NULL CHECK ((void_reason <> '') = (status = 'voided')),
    created_at            timestamptz NOT NULL,
    number                text,
    series_year           integer,
    sequence              bigint      CHECK (sequence > 0),
    issued_on             date,
    due_on                date        CHECK (due_on >= issued_on),
    previous_hash         text        NOT NULL CHECK (previous_hash ~ '^([0-9a-f]{64})?$'),
    content_hash          text        NOT NULL CHECK (content_hash ~ '^([0-9a-f]{64})?$'),
    document_step         text        CHECK (document_step IN ('pending', 'done', 'failed')),
    document_sha256       text        NOT NULL,
    CHECK ((document_sha256 <> '') = (document_step IS NOT DISTINCT FROM 'done')),
    -- Drafts carry no number, and what is issued carries everything.
    CHECK ((status IN ('issued', 'partially_paid', 'paid')) = (number IS NOT NULL)),
    CHECK (num_nulls(number, series_year, sequence, issued_on, due_on, document_step) IN (0, 6)),
    CHECK ((number IS NOT NULL) = (content_hash <> '')),
    CHECK (approved_by <> drafted_by)
);
CREATE UNIQUE INDEX invoice_by_number ON invoice (number) WHERE number IS NOT NULL;
CREATE UNIQUE INDEX invoice_by_sequence
    ON invoice (legal_entity_id, document_type, series_year, sequence) WHERE number IS NOT NULL;
CREATE INDEX invoice_by_run ON invoice (run_id, status, invoice_id);
CREATE INDEX invoice_by_entity ON invoice (legal_entity_id, invoice_id);
CREATE INDEX invoice_by_contract ON invoice (contract_id, invoice_id);
CREATE INDEX invoice_by_customer ON invoice (customer_id, invoice_id);
CREATE INDEX invoice_by_engagement ON invoice (engagement_id, invoice_id);
CREATE INDEX invoice_tax_pending ON invoice (invoice_id) WHERE status = 'tax_pending';
CREATE INDEX invoice_document_pending ON invoice (invoice_id) WHERE document_step = 'pending';

CREATE TABLE invoice_line (
    invoice_id        uuid    NOT NULL REFERENCES invoice,
    position          integer NOT NULL CHECK (position > 0),
    invoice_line_id   uuid    NOT NULL UNIQUE,
    description       text    NOT NULL,
    contract_line_id  uuid    NOT NULL,
    quote_line_id     uuid    NOT NULL,
    type              text    NOT NULL
        CHECK (type IN ('time', 'expense', 'milestone', 'recurring')),
    quantity          numeric NOT NULL CHECK (abs(quantity) < 1e15),
    unit              text    NOT NULL,
    unit_rate         numeric NOT NULL CHECK (abs(unit_rate) < 1e15),
    -- Printed quantity times printed rate, rounded once: never off by more than half a unit.
    net_amount        numeric NOT NULL CHECK (abs(net_amount - quantity * unit_rate) <= 0.5),
    tax_category      text    NOT NULL,
    service_from      date    NOT NULL,
    service_to        date    NOT NULL CHECK (service_from < service_to),
    item_count        integer NOT NULL CHECK (item_count > 0),
    recognised_amount numeric NOT NULL
        CHECK (abs(recognised_amount) < 1e15),
    PRIMARY KEY (invoice_id, position)
);
COMMENT ON TABLE invoice_line IS 'append-only: what invoices print, line by line';

CREATE TABLE invoice_tax (
    invoice_id       uuid    NOT NULL REFERENCES invoice,
    tax_code         text    NOT NULL,
    rate_percent     numeric NOT NULL CHECK (rate_percent BETWEEN 0 AND 100),
    base_amount      numeric NOT NULL CHECK (abs(base_amount) < 1e15),
    tax_amount       numeric NOT NULL CHECK (abs(tax_amount) < 1e15),
    exemption_reason text    NOT NULL,
    PRIMARY KEY (invoice_id, tax_code, rate_percent)
);
COMMENT ON TABLE invoice_tax IS 'append-only: tax of invoices by code and rate';

-- What invoices claim. A run writes the claims before the invoices they belong to, in one statement
-- that also sums them, so the reference to the invoice is checked at commit.
CREATE TABLE invoice_item (
    invoice_id        uuid    NOT NULL REFERENCES invoice DEFERRABLE INITIALLY DEFERRED,
    billing_event_id  uuid    NOT NULL REFERENCES billable_item,
    invoice_line_id   uuid    NOT NULL,
    source_item_id    uuid    NOT NULL,
    quantity          numeric NOT NULL,
    currency          text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount            numeric NOT NULL,
    recognised_amount numeric NOT NULL,
    is_live           boolean NOT NULL,
    PRIMARY KEY (invoice_id, billing_event_id)
);
-- No billing event in two invoices, drafts included. Voiding an invoice frees its items.
CREATE UNIQUE INDEX invoice_item_once ON invoice_item (billing_event_id) WHERE is_live;

CREATE TABLE invoice_seal (
    invoice_id      uuid    PRIMARY KEY REFERENCES invoice,
    legal_entity_id uuid    NOT NULL,
    document_type   text    NOT NULL,
    series_year     integer NOT NULL,
    sequence        bigint  NOT NULL CHECK (sequence > 0),
    content         text    NOT NULL,
    previous_hash   text    NOT NULL,
    content_hash    text    NOT NULL
        CHECK (content_hash = encode(
            sha256(convert_to(previous_hash || E'\\n' || content, 'UTF8')), 'hex')),
    CONSTRAINT invoice_seal_once UNIQUE (legal_entity_id, document_type, series_year, sequence)
);
COMMENT ON TABLE invoice_seal IS
    'append-only: the content of issued invoices and the hash chain over it';

CREATE TABLE invoice_document (
    invoice_id uuid        PRIMARY KEY REFERENCES invoice,
    content    bytea       NOT NULL,
    sha256     text        NOT NULL CHECK (sha256 = encode(sha256(content), 'hex')),
    made_at    timestamptz NOT NULL
);
COMMENT ON TABLE invoice_document IS 'append-only: PDFs of issued invoices';
"""

_GUARDS = """
-- An issued invoice may be paid and get its document; nothing else about it changes.
CREATE FUNCTION refuse_change_of_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mutable text[] := ARRAY['version', 'status', 'paid_total', 'document_step', 'document_sha256'];
BEGIN
    IF to_jsonb(NEW) - mutable IS DISTINCT FROM to_jsonb(OLD) - mutable THEN
        RAISE EXCEPTION 'invoice % is issued and cannot change', OLD.number
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER issued_is_final BEFORE UPDATE ON invoice
    FOR EACH ROW WHEN (OLD.number IS NOT NULL)
    EXECUTE FUNCTION refuse_change_of_issued_invoice();

CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are voided, never deleted', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER never_deleted BEFORE DELETE ON invoice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER never_deleted BEFORE DELETE ON invoice_item
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();

-- Nothing is added to an issued invoice either.
CREATE FUNCTION refuse_addition_to_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT invoice_id FROM added) AS touched
        JOIN invoice USING (invoice_id) WHERE invoice.number IS NOT NULL
    ) THEN
        RAISE EXCEPTION '% of an issued invoice cannot change', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER issued_is_final AFTER INSERT ON invoice_line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_addition_to_issued_invoice();
CREATE TRIGGER issued_is_final AFTER INSERT ON invoice_tax REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_addition_to_issued_invoice();
CREATE TRIGGER issued_is_final AFTER INSERT ON invoice_item REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_addition_to_issued_invoice();

-- A claim is given up with its invoice, once, and changes in no other way.
CREATE FUNCTION refuse_change_of_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'is_live' IS DISTINCT FROM to_jsonb(OLD) - 'is_live' OR NEW.is_live
        OR NOT EXISTS (
            SELECT FROM invoice WHERE invoice_id = OLD.invoice_id AND status = 'voided')
    THEN
        RAISE EXCEPTION 'the claim of % is not to be changed', OLD.billing_event_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER only_given_up BEFORE UPDATE ON invoice_item
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_claim();
"""


def upgrade() -> None:
    run_sql(op, _TABLES)
    run_sql(op, _GUARDS)
