"""Progress is reported by one person, approved by another, and bills the difference."""

from datetime import UTC, datetime
from typing import Any

import pytest
from billing_event_builders import CONTRACT, activated, an_approved_entry, an_id, approved, recorded
from billing_event_sources import BY_PROGRESS, METERED, MoveClock, a_sourced_contract, key
from billing_event_world import assert_sound, fetch, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import progress_service_pb2 as pb
from throughline.billing_event.v1.progress_service_pb2_grpc import ProgressServiceStub
from throughline.project_provisioning.v1 import plan_service_pb2 as plan_pb
from throughline.project_provisioning.v1.plan_service_pb2_grpc import (
    PlanServiceServicer,
    add_PlanServiceServicer_to_server,
)
from throughline_core.errors import Refusal
from throughline_testing.serving import Running, a_caller, faked, serving

PMO = a_caller("pmo", subject="user:paula.pmo")
OTHER = a_caller("pmo", subject="user:otto.pmo")
ELSEWHERE = a_caller("pmo", subject="user:us", entities=[an_id("e2")])


def progress_of(running: Running, caller: Any = PMO) -> Any:
    return running.stub(ProgressServiceStub, caller=caller)


async def report(
    running: Running, percent: str, as_of: str, caller: Any = PMO, **different: Any
) -> pb.ProgressReport:
    fields = {
        "contract_line_id": str(BY_PROGRESS),
        "contract_id": str(CONTRACT),
        "evidence": "Steering committee minutes",
    }
    request = pb.ReportProgressRequest(
        request_id=key(), percent=percent, as_of=as_of, **(fields | different)
    )
    made: pb.ProgressReport = (
        await progress_of(running, caller).ReportProgress(request)
    ).progress_report
    return made


async def approve(
    running: Running, made: pb.ProgressReport, caller: Any = OTHER
) -> pb.ProgressReport:
    request = pb.ApproveProgressReportRequest(
        request_id=key(), progress_report_id=made.progress_report_id
    )
    done: pb.ProgressReport = (
        await progress_of(running, caller).ApproveProgressReport(request)
    ).progress_report
    return done


async def code_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


@pytest.fixture
async def in_force(engine: AsyncEngine, move_clock: MoveClock) -> None:
    move_clock(datetime(2026, 10, 15, 12, tzinfo=UTC))
    await take(engine, recorded(), activated(a_sourced_contract()))


async def test_each_approved_report_bills_the_difference_to_the_one_before(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    for percent, as_of, amount in [
        ("20", "2026-09-15", "6000.00"),
        ("33.3333", "2026-09-30", "3999.99"),
        ("30", "2026-09-30", "-999.99"),
        ("100", "2026-10-15", "21000.00"),
    ]:
        made = await report(running, percent, as_of)
        assert (made.status, made.HasField("amount")) == (pb.PROGRESS_REPORT_STATUS_PROPOSED, False)
        done = await approve(running, made)
        assert (done.amount.amount, done.decided_by) == (amount, "user:otto.pmo")
    found = await fetch(
        engine,
        """SELECT amount, type, description, rate_explanation FROM billing_event
           JOIN source_item USING (source_item_id, type) ORDER BY rated_at, amount""",
    )
    assert sorted(row.amount for row in found)[0] < 0
    assert sum(row.amount for row in found) == 30000
    assert {row.type for row in found} == {"progress"}
    [words] = [row.rate_explanation for row in found if row.amount < 0]
    assert words.startswith(
        "30 % of 30000.00 EUR: 9000.00 EUR earned, less 9999.99 EUR billed up to 33.3333 %"
    )
    await assert_sound(engine)


async def test_a_changed_net_total_counts_from_the_next_report_and_says_so(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await approve(running, await report(running, "50", "2026-09-30"))
    changed = a_sourced_contract(version=2, net_total="40000.00")
    changed.version, changed.terms_effective_on = 4, "2026-10-01"
    await take(engine, activated(changed))
    done = await approve(running, await report(running, "50", "2026-10-10"))
    assert (done.net_total.amount, done.amount.amount) == ("40000.00", "5000.00")
    [words] = [
        row.rate_explanation
        for row in await fetch(engine, "SELECT rate_explanation FROM billing_event")
        if "was" in row.rate_explanation
    ]
    assert "20000.00 EUR earned (the net total was 30000.00 EUR)" in words


async def test_no_progress_bills_nothing_and_is_explained(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    assert (
        await approve(running, await report(running, "0", "2026-09-15"))
    ).amount.amount == "0.00"
    assert await rows(engine) == []
    assert len(await fetch(engine, "SELECT 1 FROM covered_item")) == 1
    await assert_sound(engine)


async def test_two_persons_decide_and_nothing_is_decided_twice(
    running: Running, in_force: None
) -> None:
    made = await report(running, "20", "2026-09-15")
    assert await code_of(approve(running, made, PMO)) == "progress_report.second_person_required"
    again = report(running, "30", "2026-09-16", OTHER)
    assert await code_of(again) == "progress_report.another_is_open"
    rejected = await progress_of(running, OTHER).RejectProgressReport(
        pb.RejectProgressReportRequest(
            request_id=key(), progress_report_id=made.progress_report_id, reason="not shown"
        )
    )
    assert rejected.progress_report.decision_reason == "not shown"
    assert await code_of(approve(running, made)) == "progress_report.not_open"
    second = await report(running, "25", "2026-09-15")
    withdrawn = await progress_of(running).WithdrawProgressReport(
        pb.WithdrawProgressReportRequest(
            request_id=key(), progress_report_id=second.progress_report_id
        )
    )
    assert withdrawn.progress_report.status == pb.PROGRESS_REPORT_STATUS_WITHDRAWN
    listed = await progress_of(running).ListProgressReports(
        pb.ListProgressReportsRequest(contract_line_id=str(BY_PROGRESS), page_size=1)
    )
    assert [each.percent for each in listed.progress_reports] == ["20"]
    assert listed.next_page_token


async def test_what_cannot_be_reported_is_refused(running: Running, in_force: None) -> None:
    await approve(running, await report(running, "20", "2026-09-15"))
    for call, code in [
        (report(running, "30", "2026-09-14"), "progress_report.before_the_last"),
        (report(running, "30", "2026-10-16"), "progress_report.day_in_future"),
        (
            report(running, "30", "2026-10-01", contract_line_id=str(METERED)),
            "progress_report.not_by_progress",
        ),
        (
            report(running, "30", "2026-10-01", contract_line_id=str(an_id("bad"))),
            "progress_report.line_not_found",
        ),
        (
            report(running, "30", "2026-10-01", contract_id=str(an_id("bad"))),
            "contract.not_found",
        ),
        (report(running, "30", "2026-10-01", ELSEWHERE), "caller.entity_forbidden"),
    ]:
        assert await code_of(call) == code


def plan_of(approved_hours: str, at_completion: str) -> Any:
    async def answer(
        request: plan_pb.GetEstimateAtCompletionRequest,
    ) -> plan_pb.GetEstimateAtCompletionResponse:
        progress = plan_pb.Progress(
            approved_hours=approved_hours, at_completion_hours=at_completion
        )
        return plan_pb.GetEstimateAtCompletionResponse(
            project_id=request.project_id,
            lines=[
                plan_pb.LineProgress(contract_line_id=str(BY_PROGRESS), progress=progress),
                plan_pb.LineProgress(contract_line_id=str(METERED), progress=progress),
            ],
        )

    return answer


@pytest.fixture
async def peers() -> Any:
    servicer = faked(PlanServiceServicer, GetEstimateAtCompletion=plan_of("30.00", "80.00"))
    async with serving([(add_PlanServiceServicer_to_server, servicer)]) as target:
        yield {"project-provisioning": target}


async def test_hours_suggest_a_percentage_and_what_it_would_bill(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    request = pb.SuggestProgressRequest(
        contract_line_id=str(BY_PROGRESS), contract_id=str(CONTRACT)
    )
    nothing = progress_of(running).SuggestProgress(request)
    assert await code_of(nothing) == "progress_report.nothing_to_suggest"
    await take(engine, approved(an_approved_entry(contract_line_id=str(BY_PROGRESS))))
    found = await progress_of(running).SuggestProgress(request)
    assert (found.percent, found.amount.amount) == ("37.5", "11250.00")
    assert (found.approved_hours, found.at_completion_hours) == ("30", "80")
