"""Statements on contracts that are made once; a contract is a state and versions of terms."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    select,
    update,
)

from customer_contract import tables
from customer_contract.repository.number_series import TAKE
from customer_contract.repository.sql import insert_lines_sql, insert_sql, update_sql
from throughline_runtime.statement import Statement

_LINES: Final = insert_lines_sql(
    tables.contract_line,
    keys=("contract_id", "contract_version"),
)
# The series stays locked from here on: who writes a contract does so late.
ADD: Final = Statement(f"""
    WITH numbered AS ({TAKE}), written AS (
        {insert_sql(tables.contract, number="(SELECT number FROM numbered)")}
        ON CONFLICT DO NOTHING RETURNING contract_id, number
    ), terms AS (
        {insert_sql(tables.contract_terms)} WHERE EXISTS (SELECT FROM written)
    ), lines AS (
        {_LINES} WHERE EXISTS (SELECT FROM written)
    )
    SELECT number FROM written
""")
ADD_TERMS: Final = Statement(f"WITH terms AS ({insert_sql(tables.contract_terms)}) {_LINES}")
ADD_LINES: Final = Statement(_LINES)


def current() -> Select[Any]:
    """Return the query over all contracts, each joined to its present terms."""
    contract, terms = tables.contract, tables.contract_terms
    return joined().where(terms.c.contract_version == contract.c.contract_version)


def joined() -> Select[Any]:
    """Return the query over all contracts, each joined to every version of its terms."""
    contract, terms = tables.contract, tables.contract_terms
    columns = [column for column in terms.c if column.name not in contract.c]
    present = [column for column in contract.c if column.name != "contract_version"]
    return select(*present, terms.c.contract_version, *columns).join(
        terms, terms.c.contract_id == contract.c.contract_id
    )


CURRENT: Final = Statement(
    current().where(tables.contract.c.contract_id == bindparam("contract_id"))
)
_WANTED: Final = (
    func.unnest(
        bindparam("contract_ids", type_=ARRAY(Uuid)),
        bindparam("contract_versions", type_=ARRAY(Integer)),
    )
    .table_valued("contract_id", "contract_version", name="wanted")
    .render_derived()
)
LINES_OF: Final = Statement(
    select(tables.contract_line)
    .join(
        _WANTED,
        and_(
            _WANTED.c.contract_id == tables.contract_line.c.contract_id,
            _WANTED.c.contract_version == tables.contract_line.c.contract_version,
        ),
    )
    .order_by(tables.contract_line.c.contract_id, tables.contract_line.c.position)
)
_STATE_COLUMNS: Final = (
    "version",
    "contract_version",
    "status",
    "quote_version",
    "customer_id",
    "legal_entity_id",
    "currency",
    "time_zone",
    "document_sha256",
    "signatory",
    "signed_on",
    "activated_on",
    "terminated_on",
    "termination_reason",
    "completed_on",
    "activate_when_due",
    "activated_at",
    "ended_at",
)
_MOVE: Final = update_sql(
    tables.contract,
    _STATE_COLUMNS,
    where="contract_id = :of_contract AND version = :replaced",
)
SAVE_STATE: Final = Statement(_MOVE)
_CLOSE: Final = update_sql(
    tables.contract_terms,
    ("effective_on", "reason", "recorded_by", "recorded_at", "change_order_id"),
    where="(contract_id, contract_version) IN (SELECT contract_id, contract_version FROM moved)",
)
SAVE_SIGNED: Final = Statement(
    f"WITH moved AS ({_MOVE} RETURNING contract_id, contract_version) {_CLOSE}"
)
SAVE_TERMS: Final = Statement(
    update(tables.contract_terms).where(
        tables.contract_terms.c.contract_id == bindparam("of_contract"),
        tables.contract_terms.c.contract_version == bindparam("of_version"),
    ),
    columns=tables.contract_terms.c.keys(),
)
