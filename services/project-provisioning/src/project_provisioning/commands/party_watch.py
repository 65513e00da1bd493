"""Open projects whose customer, company or manager is no longer there for them, told of once each.

Nothing is stopped by it: time is recorded until somebody of the project office decides.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_core.ids import derived_id
from throughline_runtime import exceptions
from throughline_runtime.exceptions import Halt

CUSTOMER_STOPPED: Final = "customer_stopped"
"""The kind of exception that a customer which ended or is on hold becomes."""
ENTITY_CLOSED: Final = "legal_entity_closed"
"""The kind of exception that a company whose accounting is closed becomes."""
MANAGER_LEAVING: Final = "manager_leaving"
"""The kind of exception that a manager whose employment ends becomes."""

_PMO: Final = "pmo"
_NUMBERS_MAX: Final = 20

_TODAY: Final = "CAST(timezone(project.time_zone, CAST(:now AS timestamptz)) AS date)"
_PROJECTS: Final = f"""
    count(*) AS projects,
    (array_agg(project.number ORDER BY project.number))[1:{_NUMBERS_MAX}] AS numbers
"""

_CUSTOMERS: Final = text(f"""
    SELECT project.customer_id, project.legal_entity_id, customer.number, customer.name,
           customer.credit_hold_reason AS why, customer.ended_on,
           coalesce(customer.ended_on <= {_TODAY}, false) AS has_ended, {_PROJECTS}
    FROM customer JOIN project USING (customer_id)
    WHERE project.status = 'active'
      AND (customer.credit_hold OR customer.ended_on IS NOT NULL)
      AND (customer.credit_hold OR customer.ended_on <= {_TODAY})
    GROUP BY customer.customer_id, project.customer_id, project.legal_entity_id, has_ended
""")

_ENTITIES: Final = text(f"""
    SELECT project.legal_entity_id, entity.code, entity.closed_through, {_PROJECTS}
    FROM legal_entity AS entity JOIN project USING (legal_entity_id)
    WHERE project.status = 'active' AND entity.closed_through >= {_TODAY}
    GROUP BY project.legal_entity_id, entity.legal_entity_id
""")

# Who leaves after the plan ends is nobody's concern, until the project is late.
_MANAGERS: Final = text(f"""
    SELECT person.person_id, person.name, person.employed_to, project.legal_entity_id, {_PROJECTS}
    FROM person JOIN project ON project.manager_person_id = person.person_id
    WHERE project.status = 'active' AND person.employed_to IS NOT NULL
      AND (person.employed_to < project.ends_on OR person.employed_to <= {_TODAY})
    GROUP BY person.person_id, project.legal_entity_id
""")

_TOLD: Final = text("""
    SELECT subject_id, reason, advice, detail FROM exception_item
    WHERE kind = :kind AND closed_at IS NULL
""")


async def watch(tx: AsyncConnection, *, at: datetime) -> None:
    """Tell of parties and managers that stopped while projects are open, and of no others."""
    await _tell(tx, CUSTOMER_STOPPED, list(map(_customer, await _find(tx, _CUSTOMERS, at))))
    await _tell(tx, ENTITY_CLOSED, list(map(_entity, await _find(tx, _ENTITIES, at))))
    await _tell(tx, MANAGER_LEAVING, list(map(_manager, await _find(tx, _MANAGERS, at))))


async def _find(tx: AsyncConnection, query: TextClause, at: datetime) -> Sequence[Row[Any]]:
    return (await tx.execute(query, {"now": at})).all()


async def _tell(tx: AsyncConnection, kind: str, halts: Sequence[Halt]) -> None:
    """Bring the queue to these halts: what is told already and has not changed stays as it is."""
    told = {row.subject_id: row for row in await tx.execute(_TOLD, {"kind": kind})}
    fresh = [halt for halt in halts if not _is_told(halt, told.get(halt.subject_id))]
    await exceptions.open_all(tx, fresh)
    gone = told.keys() - {halt.subject_id for halt in halts}
    if gone:
        await exceptions.close(tx, kind, gone)


def _is_told(halt: Halt, told: Row[Any] | None) -> bool:
    return told is not None and (told.reason, told.advice, told.detail) == (
        halt.reason,
        halt.advice,
        dict(halt.detail),
    )


def _customer(row: Row[Any]) -> Halt:
    detail: dict[str, str | int | None] = {"customer": row.number, "name": row.name}
    if row.has_ended:
        reason = "customer.ended"
        advice = "close the projects or have the contracts ended; or have sales reopen the customer"
        detail["ended_on"] = row.ended_on.isoformat()
    else:
        reason = "customer.credit_hold"
        advice = (
            "decide whether work goes on: it is recorded but not billed until finance releases "
            "the hold"
        )
        detail["why"] = row.why
    return Halt(
        CUSTOMER_STOPPED,
        stopped_id(row.customer_id, row.legal_entity_id),
        reason,
        _PMO,
        f"{advice}; {_named(row)}",
        row.legal_entity_id,
        detail=detail | _projects(row),
    )


def _entity(row: Row[Any]) -> Halt:
    return Halt(
        ENTITY_CLOSED,
        row.legal_entity_id,
        "legal_entity.accounting_closed",
        _PMO,
        "move the work to a company that goes on, or have finance reopen the accounting; "
        + _named(row),
        row.legal_entity_id,
        detail={
            "legal_entity": row.code,
            "closed_through": row.closed_through.isoformat(),
            **_projects(row),
        },
    )


def _manager(row: Row[Any]) -> Halt:
    return Halt(
        MANAGER_LEAVING,
        derived_id(MANAGER_LEAVING, row.person_id, row.legal_entity_id),
        "project.manager_leaving",
        _PMO,
        f"hand the projects over: POST /v1/projects:reassign-manager; {_named(row)}",
        row.legal_entity_id,
        detail={
            "person_id": str(row.person_id),
            "name": row.name,
            "employed_to": row.employed_to.isoformat(),
            **_projects(row),
        },
    )


def stopped_id(customer_id: UUID, legal_entity_id: UUID) -> UUID:
    """Return what the exceptions queue knows the projects of a customer in a company by."""
    return derived_id(CUSTOMER_STOPPED, customer_id, legal_entity_id)


def _named(row: Row[Any]) -> str:
    more = row.projects - len(row.numbers)
    return f"open: {', '.join(row.numbers)}{f' and {more} more' if more else ''}"


def _projects(row: Row[Any]) -> dict[str, str | int | None]:
    return {"projects": row.projects, "numbers": ", ".join(row.numbers)}
