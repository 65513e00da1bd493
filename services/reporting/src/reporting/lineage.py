"""Walks the chain of lineage, one query for each step away from the start."""

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

_BY_ID: Final = text("SELECT * FROM node WHERE kind = :kind AND object_id = :object_id")
_BY_LABEL: Final = text("SELECT * FROM node WHERE kind = :kind AND label = :label LIMIT 1")

_TO_ORIGIN: Final = text("""
    SELECT link.child_kind AS from_kind, link.child_id AS from_id, node.*
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS here (kind, object_id)
    JOIN link ON link.child_kind = here.kind AND link.child_id = here.object_id
    JOIN node ON node.kind = link.parent_kind AND node.object_id = link.parent_id
    ORDER BY node.kind, node.object_id
    LIMIT :limit
""")

_TO_OUTCOME: Final = text("""
    SELECT link.parent_kind AS from_kind, link.parent_id AS from_id, node.*
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS here (kind, object_id)
    JOIN link ON link.parent_kind = here.kind AND link.parent_id = here.object_id
    JOIN node ON node.kind = link.child_kind AND node.object_id = link.child_id
    ORDER BY node.kind, node.object_id
    LIMIT :limit
""")

_Key = tuple[str, UUID]


@dataclass(slots=True)
class _Walk:
    """What was found so far: nodes in order of distance, links by the places of their ends."""

    places: dict[_Key, int]
    nodes: list[pb.LineageNode]
    links: set[tuple[int, int]]
    limit: int
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
        self.nodes.append(_write_node(row, distance))
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
) -> pb.GetLineageResponse:
    """Return the chain around one thing, found by id or by what people call it.

    A caller limited to legal entities may start only from theirs.

    Raises:
        UnknownKind: there are no such things.
        LineageNotFound: this one is not known, or not the caller's to see.
    """
    start = await _find(tx, kind, key)
    if start is None or (
        entities is not None
        and start.legal_entity_id is not None
        and start.legal_entity_id not in entities
    ):
        raise LineageNotFound(
            f"no {kind} {key} is on the chain",
            field="key",
            advice="give its UUID or its number; what happened a moment ago may still be coming",
        )
    found = _Walk({}, [], set(), limit)
    found.add(start, 0)
    if towards_origin:
        await _follow(tx, found, start, -1)
    if towards_outcome:
        await _follow(tx, found, start, 1)
    return pb.GetLineageResponse(
        nodes=found.nodes,
        links=[pb.LineageLink(**{"from": a, "to": b}) for a, b in sorted(found.links)],
        truncated=found.truncated,
    )


async def _find(tx: AsyncConnection, kind: str, key: str) -> Row[Any] | None:
    if kind not in set(Kind):
        raise UnknownKind(
            f"{kind} is no kind of thing on the chain",
            field="kind",
            advice=f"use one of {', '.join(Kind)}",
        )
    try:
        query, values = _BY_ID, {"kind": kind, "object_id": UUID(key)}
    except ValueError:
        return (await tx.execute(_BY_LABEL, {"kind": kind, "label": key})).one_or_none()
    return (await tx.execute(query, values)).one_or_none()


async def _follow(tx: AsyncConnection, found: _Walk, start: Row[Any], step: int) -> None:
    frontier: list[_Key] = [(start.kind, start.object_id)]
    for distance in range(1, _STEPS_MAX):
        if not frontier or found.truncated:
            return
        rows = await tx.execute(
            _TO_ORIGIN if step < 0 else _TO_OUTCOME,
            {
                "kinds": [kind for kind, _ in frontier],
                "ids": [object_id for _, object_id in frontier],
                # One more than fits tells that something was cut.
                "limit": 2 * found.limit + 1,
            },
        )
        frontier = []
        for row in rows:
            if found.add(row, step * distance):
                frontier.append((row.kind, row.object_id))
            here = found.places.get((row.kind, row.object_id))
            if here is not None:
                there = found.places[(row.from_kind, row.from_id)]
                found.links.add((here, there) if step < 0 else (there, here))


def _write_node(row: Row[Any], distance: int) -> pb.LineageNode:
    return pb.LineageNode(
        kind=row.kind,
        object_id=str(row.object_id),
        label=row.label,
        amount="" if row.amount is None else write_decimal(row.amount),
        currency=row.currency or "",
        on=write_date(row.happened_on),
        distance=distance,
    )
