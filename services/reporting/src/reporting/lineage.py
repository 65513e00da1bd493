"""Walks the chain of lineage, one query for each step away from the start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reporting.domain import Kind, LineageNotFound, UnknownKind
from throughline.reporting.v1 import lineage_service_pb2 as pb
from throughline_runtime.fields import write_date, write_decimal

# The chain has no more steps than kinds of things.
_STEPS_MAX: Final = len(Kind)

# What names no legal entity belongs to that of the thing it came from, or else became. Money that
# nobody could assign yet belongs to none, and everybody may see it.
_VISIBLE: Final = """
    (CAST(:entities AS uuid[]) IS NULL OR coalesce(
        node.legal_entity_id,
        (SELECT near.legal_entity_id FROM link AS step
         JOIN node AS near ON near.kind = step.parent_kind AND near.object_id = step.parent_id
         WHERE step.child_kind = node.kind AND step.child_id = node.object_id
           AND near.legal_entity_id IS NOT NULL LIMIT 1),
        (SELECT near.legal_entity_id FROM link AS step
         JOIN node AS near ON near.kind = step.child_kind AND near.object_id = step.child_id
         WHERE step.parent_kind = node.kind AND step.parent_id = node.object_id
           AND near.legal_entity_id IS NOT NULL LIMIT 1)
    ) = ANY(:entities) OR (node.kind = 'payment' AND node.legal_entity_id IS NULL))
"""

_BY_ID: Final = text(f"""
    SELECT * FROM node WHERE kind = :kind AND object_id = :object_id AND {_VISIBLE}
""")
# Ids made here are in order of time: of several things of one name the latest is meant.
_BY_LABEL: Final = text(f"""
    SELECT * FROM node WHERE kind = :kind AND label = :label AND {_VISIBLE}
    ORDER BY object_id DESC LIMIT 1
""")

_TO_ORIGIN: Final = text(f"""
    SELECT link.child_kind AS from_kind, link.child_id AS from_id, node.*
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS here (kind, object_id)
    JOIN link ON link.child_kind = here.kind AND link.child_id = here.object_id
    JOIN node ON node.kind = link.parent_kind AND node.object_id = link.parent_id
    WHERE {_VISIBLE}
    ORDER BY node.kind, node.object_id
    LIMIT :limit
""")

_TO_OUTCOME: Final = text(f"""
    SELECT link.parent_kind AS from_kind, link.parent_id AS from_id, node.*
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS here (kind, object_id)
    JOIN link ON link.parent_kind = here.kind AND link.parent_id = here.object_id
    JOIN node ON node.kind = link.child_kind AND node.object_id = link.child_id
    WHERE {_VISIBLE}
    ORDER BY node.kind, node.object_id
    LIMIT :limit
""")

_Key = tuple[str, UUID]
_Limits = dict[str, list[UUID] | None]


@dataclass(slots=True)
class _Walk:
    """What was found so far: nodes in order of distance, links by the places of their ends."""

    places: dict[_Key, int]
    nodes: list[pb.LineageNode]
    links: set[tuple[int, int]]
    limit: int
    shows_persons: bool
    truncated: bool = False

    def add(self, row: Row[Any], distance: int) -> bool:
        """Take a node up if it is new and there is room; say whether it is new."""
        key = (row.kind, row.object_id)
        if key in self.places:
            return False
        if len(self.nodes) >= self.limit:
            self.truncated = True
            return False
        self.places[key] = len(self.nodes)
        self.nodes.append(_write_node(row, distance, shows_persons=self.shows_persons))
        return True


async def walk(
    tx: AsyncConnection,
    *,
    kind: str,
    key: str,
    towards_origin: bool,
    towards_outcome: bool,
    limit: int,
    entities: frozenset[UUID] | None,
    shows_persons: bool,
) -> pb.GetLineageResponse:
    """Return the chain around one thing, found by id or by what people call it.

    With `shows_persons` labels name who did the work and what they wrote; else their role.

    A caller limited to legal entities sees the things of these, as far as they hang together; what
    belongs to others is left out, and so is what lies behind it.

    Raises:
        UnknownKind: there are no such things.
        LineageNotFound: this one is not known, or not the caller's to see.
    """
    limits = {"entities": None if entities is None else sorted(entities)}
    start = await _find(tx, kind, key, limits)
    found = _Walk({}, [], set(), limit, shows_persons)
    found.add(start, 0)
    steps = [step for step, is_wanted in ((-1, towards_origin), (1, towards_outcome)) if is_wanted]
    frontiers: dict[int, list[_Key]] = {step: [(start.kind, start.object_id)] for step in steps}
    # Both ways at once, so that a limit cuts what is farthest and never one way alone.
    for distance in range(1, _STEPS_MAX):
        for step in steps:
            frontiers[step] = await _step(tx, found, frontiers[step], step * distance, limits)
    return pb.GetLineageResponse(
        nodes=found.nodes,
        links=[pb.LineageLink(**{"from": a, "to": b}) for a, b in sorted(found.links)],
        truncated=found.truncated,
    )


async def _find(tx: AsyncConnection, kind: str, key: str, limits: _Limits) -> Row[Any]:
    if kind not in set(Kind):
        raise UnknownKind(
            f"{kind} is no kind of thing on the chain",
            field="kind",
            advice=f"use one of {', '.join(Kind)}",
        )
    try:
        query, values = _BY_ID, {"kind": kind, "object_id": UUID(key), **limits}
    except ValueError:
        query, values = _BY_LABEL, {"kind": kind, "label": key, **limits}
    start = (await tx.execute(query, values)).one_or_none()
    if start is None:
        raise LineageNotFound(
            f"no {kind} {key} is on the chain",
            field="key",
            advice="give its UUID or its number; what happened a moment ago may still be coming",
        )
    return start


async def _step(
    tx: AsyncConnection,
    found: _Walk,
    frontier: Sequence[_Key],
    distance: int,
    limits: _Limits,
) -> list[_Key]:
    """Take up what is one step further than the frontier, and return what was new of it."""
    if not frontier:
        return []
    # One more than is looked at tells that something was cut.
    rows_max = 2 * found.limit
    rows = (
        await tx.execute(
            _TO_ORIGIN if distance < 0 else _TO_OUTCOME,
            {
                "kinds": [kind for kind, _ in frontier],
                "ids": [object_id for _, object_id in frontier],
                "limit": rows_max + 1,
                **limits,
            },
        )
    ).all()
    found.truncated = found.truncated or len(rows) > rows_max
    fresh: list[_Key] = []
    for row in rows[:rows_max]:
        if found.add(row, distance):
            fresh.append((row.kind, row.object_id))
        here = found.places.get((row.kind, row.object_id))
        if here is not None:
            there = found.places[(row.from_kind, row.from_id)]
            found.links.add((here, there) if distance < 0 else (there, here))
    return fresh


def _write_node(row: Row[Any], distance: int, *, shows_persons: bool) -> pb.LineageNode:
    personal = row.personal_label if shows_persons else None
    return pb.LineageNode(
        kind=row.kind,
        object_id=str(row.object_id),
        label=row.label if personal is None else personal,
        amount="" if row.amount is None else write_decimal(row.amount),
        currency=row.currency or "",
        on=write_date(row.happened_on),
        distance=distance,
    )
