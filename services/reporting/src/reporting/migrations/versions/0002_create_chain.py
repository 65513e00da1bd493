"""The chain of lineage, and the contract lines whose positions are shown."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- One row for each thing on the chain. A later version of the same thing replaces it.
        CREATE TABLE node (
            kind              text    NOT NULL,
            object_id         uuid    NOT NULL,
            version           bigint  NOT NULL CHECK (version >= 0),
            label             text    NOT NULL,
            state             text    NOT NULL,
            quantity          numeric(18, 4) NOT NULL
                CHECK (quantity < 'Infinity' AND quantity > '-Infinity'),
            amount            numeric(24, 8) CHECK (amount < 'Infinity' AND amount > '-Infinity'),
            currency          text    CHECK (currency ~ '^[A-Z]{3}$'),
            happened_on       date,
            contract_line_id  uuid,
            legal_entity_id   uuid,
            PRIMARY KEY (kind, object_id),
            CHECK ((amount IS NULL) = (currency IS NULL))
        );

        CREATE INDEX node_by_contract_line ON node (contract_line_id, kind);
        CREATE INDEX node_by_label ON node (kind, label);

        -- That the parent became the child; amount and quantity are what passed along it.
        CREATE TABLE link (
            parent_kind  text  NOT NULL,
            parent_id    uuid  NOT NULL,
            child_kind   text  NOT NULL,
            child_id     uuid  NOT NULL,
            quantity     numeric(18, 4),
            amount       numeric(24, 8),
            PRIMARY KEY (parent_kind, parent_id, child_kind, child_id)
        );

        CREATE INDEX link_by_child ON link (child_kind, child_id);

        CREATE TABLE contract_line (
            contract_line_id  uuid    PRIMARY KEY,
            contract_id       uuid    NOT NULL,
            version           bigint  NOT NULL,
            contract_number   text    NOT NULL,
            quote_line_id     uuid    NOT NULL,
            legal_entity_id   uuid    NOT NULL,
            customer_id       uuid    NOT NULL,
            line_position     integer NOT NULL,
            description       text    NOT NULL,
            billing_model     text    NOT NULL,
            currency          text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            contracted        numeric(18, 4) NOT NULL
                CHECK (contracted < 'Infinity' AND contracted > '-Infinity')
        );

        CREATE INDEX contract_line_by_contract
            ON contract_line (contract_id, line_position, contract_line_id);
        """,
    )
