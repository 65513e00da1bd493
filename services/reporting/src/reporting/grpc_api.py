"""The read services: lineage, positions, reconciliation."""

import asyncio
from decimal import Decimal
from typing import Final
from uuid import UUID

from reporting import invariants, lineage, queries
from throughline.operations.v1 import operations_service_pb2 as operations_pb
from throughline.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from throughline.reporting.v1 import lineage_service_pb2 as lineage_pb
from throughline.reporting.v1 import position_service_pb2 as position_pb
from throughline.reporting.v1 import reconciliation_service_pb2 as reconciliation_pb
from throughline.reporting.v1.lineage_service_pb2_grpc import (
    LineageServiceServicer,
    add_LineageServiceServicer_to_server,
)
from throughline.reporting.v1.position_service_pb2_grpc import (
    PositionServiceServicer,
    add_PositionServiceServicer_to_server,
)
from throughline.reporting.v1.reconciliation_service_pb2_grpc import (
    ReconciliationServiceServicer,
    add_ReconciliationServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_decimal,
    read_optional_uuid,
    read_uuid,
    write_decimal,
    write_instant,
)
from throughline_runtime.identity import (
    current_caller,
    require_every_entity,
    visible_entities,
)
from throughline_runtime.page import MalformedPage, next_token, read_page
from throughline_runtime.rpc.access import seconds_of
from throughline_runtime.rpc.server import Mount

LIMIT_DEFAULT: Final = 500
# Who works with the persons' own records; all others see the role.
_SEE_PERSONS: Final = frozenset({"ROLE_ADMIN", "ROLE_FINANCE", "ROLE_PMO"})
_POSITION_MAX: Final = 2**31 - 1
PEERS: Final = (
    "billing-event",
    "connectors",
    "customer-contract",
    "invoice-payment",
    "project-provisioning",
    "reporting",
)
_TOTALS_SECONDS: Final = seconds_of(
    operations_pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name[
        "GetControlTotals"
    ]
)


class LineageServicer(LineageServiceServicer):
    """Walks of the chain."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def GetLineage(
        self, request: lineage_pb.GetLineageRequest, context: object
    ) -> lineage_pb.GetLineageResponse:
        direction = request.direction
        async with read(self._context.engine) as tx:
            return await lineage.walk(
                tx,
                kind=request.kind,
                key=request.key,
                towards_origin=direction != lineage_pb.LINEAGE_DIRECTION_OUTCOME,
                towards_outcome=direction != lineage_pb.LINEAGE_DIRECTION_ORIGIN,
                limit=request.limit or LIMIT_DEFAULT,
                entities=visible_entities(),
                shows_persons=not _SEE_PERSONS.isdisjoint(current_caller().roles),
            )


class PositionServicer(PositionServiceServicer):
    """Positions of contract lines."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ListPositions(
        self, request: position_pb.ListPositionsRequest, context: object
    ) -> position_pb.ListPositionsResponse:
        page = read_page(request, keys=3)
        after = None if page.after is None else _read_key(page.after)
        wanted = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._context.engine) as tx:
            rows = await queries.positions(
                tx,
                after=after,
                page_size=page.size + 1,
                contract_id=read_optional_uuid("contract_id", request.contract_id),
                customer_id=read_optional_uuid("customer_id", request.customer_id),
                entities=_entities(wanted),
            )
        shown = rows[: page.size]
        token = ""
        if len(rows) > page.size:
            last = shown[-1]
            token = next_token(last.contract_id, last.line_position, last.contract_line_id)
        return position_pb.ListPositionsResponse(positions=shown, next_page_token=token)


class ReconciliationServicer(ReconciliationServiceServicer):
    """The invariants over everybody's control totals."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def Reconcile(
        self, request: reconciliation_pb.ReconcileRequest, context: object
    ) -> reconciliation_pb.ReconcileResponse:
        # Sums over all legal entities; what one of them has cannot be told apart in them.
        require_every_entity()
        answers = await asyncio.gather(*map(self._ask, PEERS))
        totals = dict(zip(PEERS, answers, strict=True))
        found = invariants.check(totals)
        return reconciliation_pb.ReconcileResponse(
            holds=all(invariant.holds for invariant in found),
            settled=invariants.is_settled(totals),
            checked_at=write_instant(self._context.clock.now()),
            invariants=map(_write_invariant, found),
        )

    async def _ask(self, peer: str) -> dict[str, invariants.Figures]:
        stub = self._context.stub(OperationsServiceStub, peer)
        answer = await stub.GetControlTotals(
            operations_pb.GetControlTotalsRequest(), timeout=_TOTALS_SECONDS
        )
        return {
            total.name: {name: Decimal(value) for name, value in total.figures.items()}
            for total in answer.totals
        }


def _read_key(keys: tuple[str, ...]) -> tuple[UUID, int, UUID]:
    contract_id, position, line_id = keys
    return (
        read_uuid("page_token", contract_id),
        _read_position(position),
        read_uuid("page_token", line_id),
    )


def _read_position(text: str) -> int:
    position = int(read_decimal("page_token", text, places=0))
    if not 0 <= position <= _POSITION_MAX:
        raise MalformedPage(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        )
    return position


def _entities(wanted: UUID | None) -> frozenset[UUID] | None:
    """Return the legal entities to show: the caller's, narrowed to the one asked for."""
    visible = visible_entities()
    if wanted is None:
        return visible
    return frozenset({wanted}) if visible is None else visible & {wanted}


def _write_invariant(invariant: invariants.Invariant) -> reconciliation_pb.Invariant:
    return reconciliation_pb.Invariant(
        number=invariant.number,
        rule=invariant.rule,
        holds=invariant.holds,
        comparisons=[
            reconciliation_pb.Comparison(
                figure=comparison.figure,
                left_name=comparison.left_name,
                left=write_decimal(comparison.left),
                right_name=comparison.right_name,
                right=write_decimal(comparison.right),
                difference=write_decimal(comparison.difference),
            )
            for comparison in invariant.comparisons
        ],
    )


def servicers(context: Context) -> list[Mount]:
    """Return what a process of this service mounts."""
    return [
        (add_LineageServiceServicer_to_server, LineageServicer(context)),
        (add_PositionServiceServicer_to_server, PositionServicer(context)),
        (add_ReconciliationServiceServicer_to_server, ReconciliationServicer(context)),
    ]
