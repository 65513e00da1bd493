"""What one legal entity asks for, of each list: its own, and nothing of another."""

from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    EXPENSES,
    HOURS,
    PERSON,
    activated,
    an_approved_entry,
    an_id,
    approved,
    recorded,
)
from billing_event_sources import BY_PROGRESS, a_reading, a_sourced_contract, key, readings
from billing_event_world import take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import adjustment_service_pb2 as adjustment_pb
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import progress_service_pb2 as progress_pb
from throughline.billing_event.v1 import purchase_service_pb2 as purchase_pb
from throughline.billing_event.v1 import recurring_service_pb2 as recurring_pb
from throughline.billing_event.v1 import release_service_pb2 as release_pb
from throughline.billing_event.v1 import shadow_service_pb2 as shadow_pb
from throughline.billing_event.v1 import usage_service_pb2 as usage_pb
from throughline.billing_event.v1.adjustment_service_pb2_grpc import AdjustmentServiceStub
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.progress_service_pb2_grpc import ProgressServiceStub
from throughline.billing_event.v1.purchase_service_pb2_grpc import PurchaseServiceStub
from throughline.billing_event.v1.recurring_service_pb2_grpc import RecurringServiceStub
from throughline.billing_event.v1.release_service_pb2_grpc import ReleaseServiceStub
from throughline.billing_event.v1.shadow_service_pb2_grpc import ShadowServiceStub
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline.common.v1 import money_pb2, source_pb2
from throughline_core.errors import PermissionDenied
from throughline_testing.serving import Running, a_caller

CALLER = a_caller("finance", "pmo", "integration", subject="user:fin")
ELSEWHERE = a_caller("finance", "pmo", "integration", subject="user:us", entities=[an_id("e2")])
PROJECT = an_approved_entry().project_id

LISTS: dict[str, tuple[Any, Any]] = {
    "holds": (BillingEventServiceStub, event_pb.ListHoldsRequest),
    "recurring_periods": (RecurringServiceStub, recurring_pb.ListRecurringPeriodsRequest),
    "usage_records": (UsageServiceStub, usage_pb.ListUsageRecordsRequest),
    "usage_periods": (UsageServiceStub, usage_pb.ListUsagePeriodsRequest),
    "purchases": (PurchaseServiceStub, purchase_pb.ListPurchasesRequest),
    "adjustments": (AdjustmentServiceStub, adjustment_pb.ListAdjustmentsRequest),
    "progress_reports": (ProgressServiceStub, progress_pb.ListProgressReportsRequest),
    "release_runs": (ReleaseServiceStub, release_pb.ListReleaseRunsRequest),
    "shadow_runs": (ShadowServiceStub, shadow_pb.ListShadowRunsRequest),
}


async def listed(running: Running, name: str, caller: Any = CALLER, **wanted: Any) -> list[Any]:
    stub, request = LISTS[name]
    method = request.DESCRIPTOR.name.removesuffix("Request")
    page = await getattr(running.stub(stub, caller=caller), method)(request(**wanted))
    return list(getattr(page, name))


@pytest.fixture
async def work(engine: AsyncEngine, running: Running) -> None:
    """One thing or more for each list, all of one legal entity."""
    architect = an_approved_entry(1, role="architect")
    await take(engine, recorded(), activated(a_sourced_contract()), approved(architect))

    def of(stub: Any) -> Any:
        return running.stub(stub, caller=CALLER)

    line: dict[str, Any] = {"contract_id": str(CONTRACT), "contract_line_id": str(HOURS)}
    cost = money_pb2.Money(amount="1000.00", currency="EUR")
    await of(UsageServiceStub).ImportUsageRecords(readings(a_reading("10", "2026-09-05T12:00")))
    bought = purchase_pb.PurchaseRow(
        **(line | {"contract_line_id": str(EXPENSES)}),
        category="subcontractor",
        supplier="Northwind Engineering",
        document_number="NW-0001",
        description="Penetration test",
        incurred_on="2026-09-10",
        cost=cost,
        source=source_pb2.SourceRef(system="erp", object_type="bill", object_id="VB-1"),
    )
    await of(PurchaseServiceStub).ImportPurchases(
        purchase_pb.ImportPurchasesRequest(request_id=key(), rows=[bought])
    )
    await of(AdjustmentServiceStub).PutAdjustmentReason(
        adjustment_pb.PutAdjustmentReasonRequest(
            request_id=key(), code="goodwill", description="Goodwill", active=True
        )
    )
    await of(AdjustmentServiceStub).ProposeAdjustment(
        adjustment_pb.ProposeAdjustmentRequest(
            **line,
            request_id=key(),
            amount=cost,
            service_on="2026-09-10",
            reason_code="goodwill",
            description="Allowance for the outage",
        )
    )
    await of(ProgressServiceStub).ReportProgress(
        progress_pb.ReportProgressRequest(
            request_id=key(),
            contract_id=str(CONTRACT),
            contract_line_id=str(BY_PROGRESS),
            percent="10",
            as_of="2026-09-10",
            evidence="Steering committee minutes",
        )
    )


@pytest.fixture(params=["of the entity", "of a contract"])
async def runs(running: Running, work: None, request: pytest.FixtureRequest) -> None:
    """A release run and a comparison, of a legal entity or of its contract."""
    by_entity = request.param == "of the entity"
    scope: dict[str, Any] = {"contract_id": str(CONTRACT)}
    if by_entity:
        scope = {"legal_entity_id": str(ENTITY)}
    await running.stub(ReleaseServiceStub, caller=CALLER).StartReleaseRun(
        release_pb.StartReleaseRunRequest(request_id=key(), scope=release_pb.ReleaseScope(**scope))
    )
    await running.stub(ShadowServiceStub, caller=CALLER).StartShadowRun(
        shadow_pb.StartShadowRunRequest(
            request_id=key(),
            name="rates of next year",
            rules=shadow_pb.ShadowRules(time_rounding_minutes=15),
            scope=shadow_pb.ShadowScope(**scope),
        )
    )


async def assert_told_apart(running: Running, name: str) -> None:
    everything = await listed(running, name)
    assert everything
    assert await listed(running, name, legal_entity_id=str(ENTITY)) == everything
    assert await listed(running, name, legal_entity_id=str(an_id("e2"))) == []
    with pytest.raises(PermissionDenied) as refused:
        await listed(running, name, ELSEWHERE, legal_entity_id=str(ENTITY))
    assert refused.value.stable_code == "caller.entity_forbidden"


@pytest.mark.parametrize("name", [name for name in LISTS if not name.endswith("_runs")])
async def test_a_list_is_narrowed_to_one_legal_entity(
    running: Running, work: None, name: str
) -> None:
    await assert_told_apart(running, name)


@pytest.mark.parametrize("name", ["release_runs", "shadow_runs"])
async def test_runs_are_narrowed_to_one_legal_entity(
    running: Running, runs: None, name: str
) -> None:
    await assert_told_apart(running, name)


async def test_a_comparison_of_all_work_is_of_each_entity_its_caller_may_see(
    running: Running, work: None
) -> None:
    started = shadow_pb.StartShadowRunRequest(
        request_id=key(), name="all", rules=shadow_pb.ShadowRules(time_rounding_minutes=15)
    )
    limited = a_caller("finance", subject="user:us", entities=[an_id("e2")])
    await running.stub(ShadowServiceStub, caller=limited).StartShadowRun(started)
    assert await listed(running, "shadow_runs", legal_entity_id=str(an_id("e2")))
    assert await listed(running, "shadow_runs", legal_entity_id=str(ENTITY)) == []


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"type": pb.BILLING_EVENT_TYPE_TIME}, 1),
        ({"type": pb.BILLING_EVENT_TYPE_EXPENSE}, 0),
        ({"project_id": PROJECT}, 1),
        ({"project_id": str(an_id("abc"))}, 0),
        ({"person_id": str(PERSON)}, 1),
        ({"person_id": str(an_id("abc"))}, 0),
    ],
)
async def test_holds_are_found_by_type_project_and_person(
    running: Running, work: None, wanted: dict[str, Any], count: int
) -> None:
    assert len(await listed(running, "holds", **wanted)) == count
