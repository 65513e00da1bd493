"""Writes a batch of rows to the read models: one statement for each table, however many rows."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reporting.domain import Rows

# A later version replaces an earlier one, whatever the order in which they arrive.
_NODES: Final = text("""
    INSERT INTO node (kind, object_id, version, label, state, quantity, amount, currency,
                      happened_on, contract_line_id, legal_entity_id, personal_label, treatment)
    SELECT * FROM unnest(
        CAST(:kind AS text[]), CAST(:object_id AS uuid[]), CAST(:version AS bigint[]),
        CAST(:label AS text[]), CAST(:state AS text[]), CAST(:quantity AS numeric[]),
        CAST(:amount AS numeric[]), CAST(:currency AS text[]), CAST(:happened_on AS date[]),
        CAST(:contract_line_id AS uuid[]), CAST(:legal_entity_id AS uuid[]),
        CAST(:personal_label AS text[]), CAST(:treatment AS text[])
    )
    ON CONFLICT (kind, object_id) DO UPDATE SET
        version = EXCLUDED.version, label = EXCLUDED.label, state = EXCLUDED.state,
        quantity = EXCLUDED.quantity, amount = EXCLUDED.amount, currency = EXCLUDED.currency,
        happened_on = EXCLUDED.happened_on,
        contract_line_id = EXCLUDED.contract_line_id,
        personal_label = EXCLUDED.personal_label, treatment = EXCLUDED.treatment,
        legal_entity_id = coalesce(EXCLUDED.legal_entity_id, node.legal_entity_id)
    WHERE node.version < EXCLUDED.version
""")

_LINKS: Final = text("""
    INSERT INTO link (parent_kind, parent_id, child_kind, child_id, quantity, amount)
    SELECT * FROM unnest(
        CAST(:parent_kind AS text[]), CAST(:parent_id AS uuid[]), CAST(:child_kind AS text[]),
        CAST(:child_id AS uuid[]), CAST(:quantity AS numeric[]), CAST(:amount AS numeric[])
    )
    ON CONFLICT DO NOTHING
""")

_CONTRACT_LINES: Final = text("""
    INSERT INTO contract_line (contract_line_id, contract_id, version, contract_number,
                               quote_line_id, legal_entity_id, customer_id, line_position,
                               description, billing_model, currency, contracted,
                               contract_status)
    SELECT DISTINCT ON (contract_line_id) * FROM unnest(
        CAST(:contract_line_id AS uuid[]), CAST(:contract_id AS uuid[]),
        CAST(:version AS bigint[]), CAST(:contract_number AS text[]),
        CAST(:quote_line_id AS uuid[]), CAST(:legal_entity_id AS uuid[]),
        CAST(:customer_id AS uuid[]), CAST(:line_position AS integer[]),
        CAST(:description AS text[]), CAST(:billing_model AS text[]), CAST(:currency AS text[]),
        CAST(:contracted AS numeric[]), CAST(:contract_status AS text[])
    ) AS line (contract_line_id, contract_id, version, contract_number, quote_line_id,
               legal_entity_id, customer_id, line_position, description, billing_model, currency,
               contracted, contract_status)
    ORDER BY contract_line_id, version DESC
    ON CONFLICT (contract_line_id) DO UPDATE SET
        version = EXCLUDED.version, contract_number = EXCLUDED.contract_number,
        line_position = EXCLUDED.line_position, description = EXCLUDED.description,
        billing_model = EXCLUDED.billing_model, contracted = EXCLUDED.contracted,
        contract_status = EXCLUDED.contract_status
    WHERE contract_line.version < EXCLUDED.version
""")

_NODE_COLUMNS: Final = (
    "kind",
    "object_id",
    "version",
    "label",
    "state",
    "quantity",
    "amount",
    "currency",
    "happened_on",
    "contract_line_id",
    "legal_entity_id",
    "personal_label",
    "treatment",
)
_LINK_COLUMNS: Final = (
    "parent_kind",
    "parent_id",
    "child_kind",
    "child_id",
    "quantity",
    "amount",
)
_CONTRACT_LINE_COLUMNS: Final = (
    "contract_line_id",
    "contract_id",
    "version",
    "contract_number",
    "quote_line_id",
    "legal_entity_id",
    "customer_id",
    "line_position",
    "description",
    "billing_model",
    "currency",
    "contracted",
    "contract_status",
)


async def save(tx: AsyncConnection, rows: Rows) -> None:
    """Write the rows; what is older than a row already there changes nothing."""
    # One order for all writers, so that two batches wait for each other instead of deadlocking.
    nodes = sorted(rows.newest_nodes(), key=lambda node: (node.kind, node.object_id))
    links = sorted(
        rows.links,
        key=lambda link: (link.parent_kind, link.parent_id, link.child_kind, link.child_id),
    )
    if nodes:
        await tx.execute(_NODES, _columns(nodes, _NODE_COLUMNS))
    if links:
        await tx.execute(_LINKS, _columns(links, _LINK_COLUMNS))
    if rows.contract_lines:
        await tx.execute(_CONTRACT_LINES, _columns(rows.contract_lines, _CONTRACT_LINE_COLUMNS))


def _columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in names}
