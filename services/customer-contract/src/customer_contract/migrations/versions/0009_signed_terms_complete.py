"""Signed terms take no further line."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- The lines of a version come with it, in the same transaction; one that came later would
        -- change what was signed.
        CREATE FUNCTION refuse_line_of_signed_terms() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM contract_terms
                       WHERE contract_id = NEW.contract_id
                         AND contract_version = NEW.contract_version
                         AND effective_on IS NOT NULL
                         AND xmin <> CAST(pg_current_xact_id() AS xid)) THEN
                RAISE EXCEPTION 'the terms of contract % version % are signed',
                    NEW.contract_id, NEW.contract_version USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER contract_line_of_signed_terms BEFORE INSERT ON contract_line
            FOR EACH ROW EXECUTE FUNCTION refuse_line_of_signed_terms();
        """,
    )
