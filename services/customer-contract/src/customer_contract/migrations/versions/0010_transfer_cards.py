"""Rate cards by which entities of the firm charge each other."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- A transfer card is the lending entity's; it prices nothing that a customer pays.
        ALTER TABLE rate_card
            ADD COLUMN purpose text NOT NULL DEFAULT 'billing'
                CHECK (purpose IN ('billing', 'transfer')),
            ADD COLUMN borrowing_legal_entity_id uuid REFERENCES legal_entity,
            ADD CONSTRAINT rate_card_of_two_entities CHECK (
                CASE purpose
                    WHEN 'transfer' THEN legal_entity_id IS NOT NULL AND customer_id IS NULL
                        AND borrowing_legal_entity_id IS DISTINCT FROM legal_entity_id
                    ELSE borrowing_legal_entity_id IS NULL END);
        """,
    )
