"""What projects followed, as rows: set-based, whatever the number of projects."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.following import Following
from project_provisioning.repository.party_rows import customer_values, entity_values
from project_provisioning.wire import project as wire
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, outbox
from throughline_runtime.ids import new_id

# A project that shows nothing new keeps its version and only knows what it was brought to.
_SAVE: Final = text("""
    UPDATE project
    SET version = fresh.version, customer = fresh.customer, legal_entity = fresh.legal_entity,
        selling_entity_version = fresh.selling_entity_version, time_zone = fresh.time_zone,
        manager_person_id = fresh.manager_person_id
    FROM unnest(
        CAST(:project_ids AS uuid[]), CAST(:befores AS bigint[]), CAST(:versions AS bigint[]),
        CAST(:customers AS jsonb[]), CAST(:entities AS jsonb[]), CAST(:sellers AS bigint[]),
        CAST(:zones AS text[]), CAST(:managers AS uuid[])
    ) AS fresh (project_id, before, version, customer, legal_entity, selling_entity_version,
                time_zone, manager_person_id)
    WHERE project.project_id = fresh.project_id AND project.version = fresh.before
""")

_ADD_CHANGES: Final = text("""
    INSERT INTO project_change (project_change_id, project_id, project_version, kind, subject_id,
                                subject_version, facts, reason, changed_by, changed_at,
                                handover_id)
    SELECT project_change_id, project_id, project_version, kind, subject_id, subject_version,
           facts, :reason, :changed_by, :changed_at, CAST(:handover_id AS uuid)
    FROM unnest(
        CAST(:change_ids AS uuid[]), CAST(:project_ids AS uuid[]), CAST(:versions AS bigint[]),
        CAST(:kinds AS text[]), CAST(:subject_ids AS uuid[]), CAST(:subject_versions AS bigint[]),
        CAST(:facts AS jsonb[])
    ) AS fresh (project_change_id, project_id, project_version, kind, subject_id, subject_version,
                facts)
""")


@dataclass(frozen=True, slots=True)
class Cause:
    """Who had projects follow, when and why; the hand-over it was part of, if any."""

    by: str
    at: datetime
    reason: str = ""
    handover_id: UUID | None = None


async def save(tx: AsyncConnection, following: Sequence[Following], cause: Cause) -> None:
    """Write what locked projects followed, with an entry for each thing, and announce them.

    Raises:
        StaleVersion: a stored row has another version than the one that was loaded.
    """
    states = [(each.state, bool(each.followed)) for each in following]
    written = await tx.execute(
        _SAVE,
        {
            "project_ids": [state.project_id for state, _ in states],
            "befores": [state.version - moved for state, moved in states],
            "versions": [state.version for state, _ in states],
            "customers": [_json(customer_values(state.customer)) for state, _ in states],
            "entities": [_json(entity_values(state.legal_entity)) for state, _ in states],
            "sellers": [state.selling_entity_version for state, _ in states],
            "zones": [state.time_zone for state, _ in states],
            "managers": [state.manager_person_id for state, _ in states],
        },
    )
    if written.rowcount != len(states):
        raise StaleVersion("a project was changed by somebody else")
    await _add_changes(tx, following, cause)
    for state, moved in states:
        if moved:
            audit.touch(tx, state.project_id, engagement_id=state.engagement_id)
    await outbox.append(
        tx, [wire.write_event(event) for each in following for event in each.events]
    )


async def _add_changes(tx: AsyncConnection, following: Sequence[Following], cause: Cause) -> None:
    entries = [(each.state, followed) for each in following for followed in each.followed]
    if not entries:
        return
    await tx.execute(
        _ADD_CHANGES,
        {
            "change_ids": [new_id() for _ in entries],
            "project_ids": [state.project_id for state, _ in entries],
            "versions": [state.version for state, _ in entries],
            "kinds": [followed.kind for _, followed in entries],
            "subject_ids": [followed.subject_id for _, followed in entries],
            "subject_versions": [followed.subject_version for _, followed in entries],
            "facts": [
                json.dumps([asdict(fact) for fact in followed.facts]) for _, followed in entries
            ],
            "reason": cause.reason,
            "changed_by": cause.by,
            "changed_at": cause.at,
            "handover_id": cause.handover_id,
        },
    )


def _json(values: object) -> str | None:
    return None if values is None else json.dumps(values)
