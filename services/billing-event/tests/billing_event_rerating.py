"""Runs that rate work anew, as a test meets them: contracts that change, and who steers a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from billing_event_builders import CONTRACT, ENTITY, a_contract, an_approved_entry, approved
from billing_event_sources import key
from billing_event_world import fetch
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rerating_drive
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline.billing_event.v1.rerating_service_pb2_grpc import ReratingServiceStub
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
    BillableItemServiceServicer,
    add_BillableItemServiceServicer_to_server,
)
from throughline_core.errors import Unavailable
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller, faked, serving

PROPOSER: Final = a_caller("finance", subject="user:fritz.finance")
APPROVER: Final = a_caller("finance", subject="user:frida.finance")

HOURS_LINE: Final = 1
SUPPORT_LINE: Final = 2


def a_version(number: int, effective_on: str, rate: str, **terms: Any) -> contract_pb2.Contract:
    """Return a version of the terms, in force from a day, with this rate of a senior consultant."""
    contract = a_contract(version=number, rates={"senior_consultant": rate}, **terms)
    contract.version = number + 2
    contract.terms_effective_on = effective_on
    return contract


def amended(contract: contract_pb2.Contract, *, line: int = HOURS_LINE) -> Message:
    """Return that a change order moved a price of one line."""
    event = contracts.ContractAmended(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
        change_order_number=f"CO-{contract.contract_version:06d}",
    )
    event.changes.add(
        kind=contract_pb2.TERM_CHANGE_KIND_ALTERED,
        contract_line_id=contract.lines[line].contract_line_id,
        term="rates[senior_consultant].hourly_rate",
    )
    return event


def work(number: int, day: str = "2026-09-07", *, minutes: int = 480, **different: Any) -> Message:
    """Return that a day's work of the senior consultant was approved."""
    entry = an_approved_entry(number, work_date=day, minutes=minutes, **different)
    return approved(entry, number=number)


class Invoicing:
    """invoice-payment as billing-event meets it: it tells which rows are on which document."""

    def __init__(self) -> None:
        self.drafts: dict[str, str] = {}
        self.invoices: dict[str, str] = {}
        self.is_down = False
        self.asked = 0

    async def locate(self, request: Any) -> items_pb.LocateItemsResponse:
        self.asked += 1
        if self.is_down:
            raise Unavailable("invoice-payment is away")
        response = items_pb.LocateItemsResponse()
        for row_id in request.billing_event_ids:
            if row_id in self.drafts:
                response.locations.add(
                    billing_event_id=row_id,
                    status=items_pb.BILLABLE_ITEM_STATUS_DRAFTED,
                    invoice_id=self.drafts[row_id],
                )
            elif row_id in self.invoices:
                response.locations.add(
                    billing_event_id=row_id,
                    status=items_pb.BILLABLE_ITEM_STATUS_INVOICED,
                    invoice_id="01980000-0000-7000-8000-0000000001a1",
                    invoice_number=self.invoices[row_id],
                )
        return response

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, str]]:
        servicer = faked(BillableItemServiceServicer, LocateItems=self.locate)
        async with serving([(add_BillableItemServiceServicer_to_server, servicer)]) as target:
            yield {"invoice-payment": target}


class Desk:
    """Two people of finance at one service, and the job that works their runs off."""

    def __init__(self, running: Running, context: Context, engine: AsyncEngine) -> None:
        self.proposer = running.stub(ReratingServiceStub, caller=PROPOSER)
        self.approver = running.stub(ReratingServiceStub, caller=APPROVER)
        self._context = context
        self._engine = engine

    async def drive(self) -> None:
        await rerating_drive.drive(self._context)

    async def look_at_drafts(self) -> None:
        await rerating_drive.look_at_drafts(self._context)

    async def open(self, **scope: Any) -> str:
        """Open a run over the story's contract, without its preview; return its id."""
        drafted = scope.pop("drafted_items", pb.DRAFTED_ITEMS_UNSPECIFIED)
        moves = scope.pop("move_payers", False)
        reply = await self.proposer.CreateReratingRun(
            pb.CreateReratingRunRequest(
                request_id=key(),
                scope=pb.ReratingScope(
                    legal_entity_id=str(ENTITY), contract_ids=[str(CONTRACT)], **scope
                ),
                cause=pb.RERATING_CAUSE_MANUAL,
                reason="the rate of 2026 was agreed late",
                drafted_items=drafted,
                move_payers=moves,
            )
        )
        return str(reply.run.rerating_run_id)

    async def previewed(self, **scope: Any) -> str:
        run_id = await self.open(**scope)
        await self.drive()
        return run_id

    async def approve(self, run_id: str) -> None:
        await self.approver.ApproveReratingRun(
            pb.ApproveReratingRunRequest(request_id=key(), rerating_run_id=run_id)
        )

    async def applied(self, **scope: Any) -> pb.ReratingRun:
        """Open a run, preview it, approve it, apply it."""
        run_id = await self.previewed(**scope)
        await self.approve(run_id)
        await self.drive()
        return await self.run(run_id)

    async def run(self, run_id: str) -> pb.ReratingRun:
        reply = await self.proposer.GetReratingRun(pb.GetReratingRunRequest(rerating_run_id=run_id))
        return reply.run

    async def items(self, run_id: str, **wanted: Any) -> list[pb.ReratingItem]:
        request = pb.ListReratingItemsRequest(rerating_run_id=run_id, **wanted)
        return list((await self.proposer.ListReratingItems(request)).items)

    async def summary(self, run_id: str) -> pb.GetReratingSummaryResponse:
        request = pb.GetReratingSummaryRequest(rerating_run_id=run_id)
        return await self.proposer.GetReratingSummary(request)


async def ledger(engine: AsyncEngine) -> list[str]:
    """Return all rows by thing and part: kind, quantity, rate, status and why it is held."""
    found = await fetch(
        engine,
        """
        SELECT kind, event.quantity, unit_rate, status,
               coalesce((SELECT ' ' || string_agg(reason, ' ' ORDER BY reason) FROM hold
                         WHERE hold.billing_event_id = event.billing_event_id
                           AND cleared_at IS NULL), '') AS reasons
        FROM billing_event AS event JOIN position USING (billing_event_id)
        ORDER BY source_item_id, part
        """,
    )
    return [
        f"{row.kind} {row.quantity:.2f} x {row.unit_rate:.2f} {row.status}{row.reasons}"
        for row in found
    ]
