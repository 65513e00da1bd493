"""Prices: versions of the catalogue, proposals, price policies, cost rates, reviews of quotes."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0007"
down_revision = "0006"

_PROPOSAL = """
    CREATE TABLE {name} (
        proposal_id     uuid        PRIMARY KEY,
        version         bigint      NOT NULL CHECK (version > 0),
        {kind}status    text        NOT NULL CHECK (status IN
            ('proposed', 'published', 'rejected', 'withdrawn')),
        subject         text        NOT NULL,
        legal_entity_id uuid        REFERENCES legal_entity,
        base_version    bigint      NOT NULL CHECK (base_version >= 0),
        content         jsonb       NOT NULL CHECK (jsonb_typeof(content) = 'object'),
        proposed_by     text        NOT NULL,
        proposed_at     timestamptz NOT NULL,
        comment         text        NOT NULL,
        decided_by      text,
        decided_at      timestamptz,
        reason          text        NOT NULL,
        CHECK (num_nulls(decided_by, decided_at) IN (0, 2)),
        CHECK ((status = 'proposed') = (decided_by IS NULL)),
        CHECK (status <> 'published' OR decided_by <> proposed_by)
    );
    CREATE INDEX {name}_by_subject ON {name} (subject, proposal_id);
    CREATE INDEX {name}_by_status ON {name} (status, proposal_id);
"""


def upgrade() -> None:
    _add_versions()
    _add_proposals()
    _add_cost_rates()
    _add_reviews()


def _add_versions() -> None:
    run_sql(
        op,
        """
        -- Amounts of the terms, if there are any, are in terms_currency.
        ALTER TABLE catalogue_entry
            DROP CONSTRAINT catalogue_entry_billing_model_check,
            ADD CONSTRAINT catalogue_entry_billing_model_check CHECK (billing_model IN
                ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through', 'retainer',
                 'usage')),
            ADD COLUMN terms jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(terms) = 'object'),
            ADD COLUMN terms_currency text CHECK (terms_currency ~ '^[A-Z]{3}$'),
            ADD COLUMN revenue_method text CHECK (revenue_method IN
                ('as_delivered', 'percent_complete', 'on_acceptance', 'ratable')),
            ADD COLUMN department text NOT NULL DEFAULT '',
            ADD COLUMN practice text NOT NULL DEFAULT '',
            ADD COLUMN floor_prices jsonb NOT NULL DEFAULT '[]'
                CHECK (jsonb_typeof(floor_prices) = 'array'),
            ADD COLUMN proposed_by text NOT NULL DEFAULT '',
            ADD COLUMN published_by text NOT NULL DEFAULT '',
            ADD COLUMN published_at timestamptz,
            ADD CHECK (proposed_by <> published_by OR proposed_by = '');
        ALTER TABLE catalogue_entry
            ALTER COLUMN terms DROP DEFAULT,
            ALTER COLUMN department DROP DEFAULT,
            ALTER COLUMN practice DROP DEFAULT,
            ALTER COLUMN floor_prices DROP DEFAULT,
            ALTER COLUMN proposed_by DROP DEFAULT,
            ALTER COLUMN published_by DROP DEFAULT;

        -- Every version a service has had since versions are kept; the latest is the entry's own.
        CREATE TABLE catalogue_version (LIKE catalogue_entry, PRIMARY KEY (code, version));
        INSERT INTO catalogue_version SELECT * FROM catalogue_entry;
        COMMENT ON TABLE catalogue_version IS 'append-only: what services were';

        -- Versions from before there were proposals name nobody as their proposer.
        ALTER TABLE rate_card
            ADD COLUMN multipliers jsonb NOT NULL DEFAULT '[]'
                CHECK (jsonb_typeof(multipliers) = 'array'),
            ADD COLUMN proposed_by text NOT NULL DEFAULT '',
            ADD CHECK (proposed_by <> published_by);
        ALTER TABLE rate_card ALTER COLUMN multipliers DROP DEFAULT,
            ALTER COLUMN proposed_by DROP DEFAULT;

        CREATE TABLE price_policy (
            price_policy_id uuid        NOT NULL,
            version         bigint      NOT NULL CHECK (version > 0),
            legal_entity_id uuid        REFERENCES legal_entity,
            rules           jsonb       NOT NULL CHECK (jsonb_typeof(rules) = 'object'),
            proposed_by     text        NOT NULL,
            published_by    text        NOT NULL CHECK (published_by <> proposed_by),
            published_at    timestamptz NOT NULL,
            PRIMARY KEY (price_policy_id, version)
        );
        CREATE INDEX price_policy_by_entity ON price_policy (legal_entity_id, version);
        COMMENT ON TABLE price_policy IS 'append-only: published versions of price policies';
        """,
    )


def _add_proposals() -> None:
    kind = "kind text NOT NULL CHECK (kind IN ('rate_card', 'service', 'price_policy')),\n        "
    run_sql(
        op,
        "-- What is proposed is the message of the API; publishing checks it anew."
        + _PROPOSAL.format(name="price_proposal", kind=kind),
    )


def _add_cost_rates() -> None:
    run_sql(
        op,
        "-- Apart from every other price: who may see prices may not see costs."
        + _PROPOSAL.format(name="cost_rate_proposal", kind="")
        + """
        CREATE TABLE cost_rate_card (
            cost_rate_card_id uuid        NOT NULL,
            version           bigint      NOT NULL CHECK (version > 0),
            legal_entity_id   uuid        NOT NULL REFERENCES legal_entity,
            currency          text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            proposed_by       text        NOT NULL,
            published_by      text        NOT NULL CHECK (published_by <> proposed_by),
            published_at      timestamptz NOT NULL,
            PRIMARY KEY (cost_rate_card_id, version),
            UNIQUE (legal_entity_id, version)
        );
        COMMENT ON TABLE cost_rate_card IS 'append-only: published versions of cost rates';

        CREATE TABLE cost_rate_entry (
            cost_rate_card_id uuid           NOT NULL,
            version           bigint         NOT NULL,
            position          integer        NOT NULL CHECK (position > 0),
            role              text           NOT NULL CHECK (role <> ''),
            level             text           CHECK (level <> ''),
            region            text           CHECK (region <> ''),
            hourly_cost       numeric(18, 6) NOT NULL
                CHECK (hourly_cost > 0 AND hourly_cost < 'Infinity'),
            valid_from        date           NOT NULL,
            valid_to          date           CHECK (valid_to > valid_from),
            PRIMARY KEY (cost_rate_card_id, version, position),
            FOREIGN KEY (cost_rate_card_id, version) REFERENCES cost_rate_card,
            UNIQUE NULLS NOT DISTINCT
                (cost_rate_card_id, version, role, level, region, valid_from)
        );
        COMMENT ON TABLE cost_rate_entry IS 'append-only: the costs of published versions';
        """,
    )


def _add_reviews() -> None:
    run_sql(
        op,
        """
        -- The review holds the approval ladder of the version with the steps taken, and the rules
        -- it breaks; an offer from before there were policies needs one approval by anybody.
        ALTER TABLE quote
            DROP CONSTRAINT quote_status_check,
            ADD CONSTRAINT quote_status_check CHECK (status IN ('draft', 'in_review', 'approved',
                'accepted', 'rejected', 'expired', 'superseded', 'withdrawn')),
            ADD COLUMN valid_until date,
            ADD COLUMN rejection_code text CHECK (rejection_code IN ('price', 'discount', 'scope',
                'terms', 'capacity', 'competitor', 'customer_decision', 'mistake', 'other')),
            ADD COLUMN review jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(review) = 'object'),
            ADD COLUMN awaiting_role text
                CHECK (awaiting_role IN ('any', 'sales_operations', 'finance', 'admin')),
            ADD COLUMN is_breaching boolean NOT NULL DEFAULT false;
        ALTER TABLE quote ALTER COLUMN review DROP DEFAULT, ALTER COLUMN is_breaching DROP DEFAULT;
        UPDATE quote SET awaiting_role = 'any' WHERE status = 'in_review';
        CREATE INDEX quote_expiring ON quote (valid_until)
            WHERE is_latest AND status IN ('in_review', 'approved');
        CREATE INDEX quote_awaiting ON quote (awaiting_role, quote_id) WHERE is_latest;

        CREATE TABLE quote_approval (
            quote_id      uuid        NOT NULL,
            quote_version integer     NOT NULL,
            step          integer     NOT NULL CHECK (step > 0),
            role          text        CHECK (role IN ('sales_operations', 'finance', 'admin')),
            name          text        NOT NULL,
            approved_by   text        NOT NULL,
            approved_at   timestamptz NOT NULL,
            comment       text        NOT NULL,
            PRIMARY KEY (quote_id, quote_version, step),
            FOREIGN KEY (quote_id, quote_version) REFERENCES quote,
            -- Nobody takes two steps of one offer.
            UNIQUE (quote_id, quote_version, approved_by)
        );
        COMMENT ON TABLE quote_approval IS 'append-only: who approved which step of an offer';

        -- Contents are kept once, whatever they are attached to.
        CREATE TABLE document (
            sha256       bytea       PRIMARY KEY CHECK (length(sha256) = 32),
            content_type text        NOT NULL CHECK (content_type = 'application/pdf'),
            content      bytea       NOT NULL CHECK (length(content) BETWEEN 1 AND 3145728),
            stored_at    timestamptz NOT NULL DEFAULT now()
        );
        ALTER TABLE document ALTER COLUMN content SET STORAGE EXTERNAL;
        COMMENT ON TABLE document IS 'append-only: contents of documents by their hash';

        CREATE TABLE quote_document (
            quote_id      uuid        NOT NULL,
            quote_version integer     NOT NULL,
            sha256        bytea       NOT NULL REFERENCES document,
            kind          text        NOT NULL CHECK (kind IN ('statement_of_work', 'attachment')),
            file_name     text        NOT NULL,
            size_bytes    bigint      NOT NULL CHECK (size_bytes > 0),
            attached_by   text        NOT NULL,
            attached_at   timestamptz NOT NULL,
            PRIMARY KEY (quote_id, quote_version, sha256),
            FOREIGN KEY (quote_id, quote_version) REFERENCES quote
        );
        COMMENT ON TABLE quote_document IS 'append-only: which documents belong to an offer';
        """,
    )
