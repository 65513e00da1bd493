"""The service catalogue and the rate cards."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(
        op,
        """
        CREATE TABLE catalogue_entry (
            code           text    PRIMARY KEY,
            version        bigint  NOT NULL CHECK (version > 0),
            name           text    NOT NULL,
            billing_model  text    NOT NULL CHECK (billing_model IN
                ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through')),
            tax_category   text    NOT NULL,
            template_code  text    NOT NULL,
            milestones     jsonb   NOT NULL CHECK (jsonb_typeof(milestones) = 'array'),
            anchor_day     integer NOT NULL CHECK (anchor_day BETWEEN 0 AND 31),
            in_advance     boolean NOT NULL,
            markup_percent numeric(7, 4) CHECK (markup_percent >= 0 AND markup_percent < 'NaN'),
            retired        boolean NOT NULL
        );

        -- Owner and currency are the same in all versions of a card. The instant a version was
        -- recorded is the second axis of time: what was known then explains what was decided then.
        CREATE TABLE rate_card (
            rate_card_id    uuid        NOT NULL,
            version         bigint      NOT NULL CHECK (version > 0),
            code            text        NOT NULL,
            name            text        NOT NULL,
            currency        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            legal_entity_id uuid        REFERENCES legal_entity,
            customer_id     uuid        REFERENCES customer,
            published_at    timestamptz NOT NULL,
            published_by    text        NOT NULL,
            PRIMARY KEY (rate_card_id, version),
            UNIQUE (code, version)
        );
        CREATE INDEX rate_card_by_owner ON rate_card (currency, customer_id, legal_entity_id);
        COMMENT ON TABLE rate_card IS 'append-only: published versions of rate cards';

        CREATE TABLE rate_card_entry (
            rate_card_id uuid           NOT NULL,
            version      bigint         NOT NULL,
            position     integer        NOT NULL CHECK (position > 0),
            role         text           NOT NULL CHECK (role <> ''),
            level        text           CHECK (level <> ''),
            region       text           CHECK (region <> ''),
            person_id    uuid,
            hourly_rate  numeric(18, 6) NOT NULL
                CHECK (hourly_rate > 0 AND hourly_rate < 'Infinity'),
            valid_from   date           NOT NULL,
            valid_to     date           CHECK (valid_to > valid_from),
            PRIMARY KEY (rate_card_id, version, position),
            FOREIGN KEY (rate_card_id, version) REFERENCES rate_card,
            -- Overlaps are the domain's to refuse; the plainest of them is refused here as well.
            UNIQUE NULLS NOT DISTINCT
                (rate_card_id, version, role, level, region, person_id, valid_from)
        );
        COMMENT ON TABLE rate_card_entry IS 'append-only: the rates of published versions';
        """,
    )
