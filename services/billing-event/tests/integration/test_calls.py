"""The services as they are called: what they answer, whom they refuse, and why."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    HOURS,
    PERSON,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch, released_ids, row_ids, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import adjustment_service_pb2 as adjustment_pb
from throughline.billing_event.v1 import billing_event_pb2 as pb
from throughline.billing_event.v1 import billing_event_service_pb2 as event_pb
from throughline.billing_event.v1 import limit_service_pb2 as limit_pb
from throughline.billing_event.v1 import position_service_pb2 as position_pb
from throughline.billing_event.v1 import recurring_service_pb2 as recurring_pb
from throughline.billing_event.v1 import release_policy_service_pb2 as policy_pb
from throughline.billing_event.v1.adjustment_service_pb2_grpc import AdjustmentServiceStub
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.billing_event.v1.limit_service_pb2_grpc import LimitServiceStub
from throughline.billing_event.v1.position_service_pb2_grpc import PositionServiceStub
from throughline.billing_event.v1.recurring_service_pb2_grpc import RecurringServiceStub
from throughline.billing_event.v1.release_policy_service_pb2_grpc import ReleasePolicyServiceStub
from throughline.common.v1.money_pb2 import Money
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_core.errors import Refusal
from throughline_runtime.page import next_token
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance", subject="user:fin")
PMO = a_caller("pmo", subject="user:paula.pmo")
ELSEWHERE = a_caller("finance", "pmo", subject="user:us", entities=[an_id("e2")])
EUROS = Money(amount="1000.00", currency="EUR")
MoveClock = Callable[[datetime], None]


def key() -> str:
    return str(uuid4())


def events_of(running: Running, caller: Any = FINANCE) -> Any:
    return running.stub(BillingEventServiceStub, caller=caller)


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def put_threshold(running: Running, amount: str) -> Any:
    request = policy_pb.PutReleasePolicyRequest(request_id=key(), legal_entity_id=str(ENTITY))
    request.threshold.amount, request.threshold.currency = amount, "EUR"
    return await running.stub(ReleasePolicyServiceStub, caller=FINANCE).PutReleasePolicy(request)


@pytest.fixture
async def waiting(engine: AsyncEngine, running: Running) -> list[str]:
    """Three entries of 1,440.00 that wait for the checkpoint."""
    await put_threshold(running, "1000.00")
    await take(engine, recorded(), activated(a_contract(not_to_exceed="60000.00")))
    await take(engine, approved(*(an_approved_entry(number) for number in (1, 2, 3))))
    return await row_ids(engine)


@pytest.mark.parametrize("stranger", [True, False], ids=["unknown", "foreign"])
async def test_a_contract_that_is_not_there_for_the_caller_is_named(
    running: Running, waiting: list[str], stranger: bool
) -> None:
    contract_id = str(an_id("bad")) if stranger else str(CONTRACT)
    stub = events_of(running, FINANCE if stranger else ELSEWHERE)
    calls = [
        stub.ReleaseBillingEvents(
            event_pb.ReleaseBillingEventsRequest(request_id=key(), contract_id=contract_id)
        ),
        stub.ClearHolds(
            event_pb.ClearHoldsRequest(request_id=key(), contract_id=contract_id, reason="paid")
        ),
    ]
    code = "contract.not_found" if stranger else "caller.entity_forbidden"
    assert [await refusal_of(call) for call in calls] == [code, code]


async def test_a_rule_of_a_policy_is_for_a_contract_that_exists(running: Running) -> None:
    request = policy_pb.PutReleasePolicyRequest(
        request_id=key(), legal_entity_id=str(ENTITY), threshold=EUROS
    )
    request.rules.add(name="new customer", contract_id=str(an_id("bad")), threshold=EUROS)
    with pytest.raises(Refusal) as refused:
        await running.stub(ReleasePolicyServiceStub, caller=FINANCE).PutReleasePolicy(request)
    assert refused.value.stable_code == "contract.not_found"
    assert refused.value.field == "rules[0].contract_id"


async def test_a_second_person_releases_what_is_above_the_threshold(
    engine: AsyncEngine, running: Running, waiting: list[str]
) -> None:
    request = event_pb.ReleaseBillingEventsRequest(request_id=key(), billing_event_ids=waiting[:2])
    for _ in range(2):
        response = await events_of(running).ReleaseBillingEvents(request)
        assert (response.released, response.held) == (2, 0)
        assert [money.amount for money in response.released_amounts] == ["2880.00"]
    assert [status for _, status, _ in await rows(engine)] == ["released", "released", "eligible"]

    published = await events_out(engine)
    assert released_ids(published) == waiting[:2]
    assert published[-1].released_by == "user:fin"  # type: ignore[attr-defined]  # released


async def test_release_by_ids_is_all_or_nothing(
    engine: AsyncEngine, running: Running, waiting: list[str]
) -> None:
    finance = events_of(running)
    hold = event_pb.PlaceHoldRequest(
        request_id=key(), billing_event_id=waiting[0], reason="addendum is missing"
    )
    await finance.PlaceHold(hold)

    def release(*ids: str, **other: str) -> event_pb.ReleaseBillingEventsRequest:
        return event_pb.ReleaseBillingEventsRequest(
            request_id=key(), billing_event_ids=ids, **other
        )

    for request, code in [
        (release(*waiting), "billing_event.not_eligible"),
        (release(waiting[1], str(an_id("abc"))), "billing_event.not_found"),
        (release(), "release.nothing_named"),
    ]:
        assert await refusal_of(finance.ReleaseBillingEvents(request)) == code
    approver = a_caller("finance", subject="user:paula.pmo")
    own = events_of(running, approver).ReleaseBillingEvents(release(waiting[1]))
    assert await refusal_of(own) == "billing_event.second_person_required"
    far = events_of(running, ELSEWHERE).ReleaseBillingEvents(release(waiting[1]))
    assert await refusal_of(far) == "caller.entity_forbidden"
    assert [status for _, status, _ in await rows(engine)] == ["held", "eligible", "eligible"]


@pytest.mark.parametrize("named", ["contract_id", "legal_entity_id"])
async def test_release_by_contract_or_entity_takes_what_may_pass_and_counts_the_rest(
    engine: AsyncEngine, running: Running, waiting: list[str], named: str
) -> None:
    october = an_approved_entry(4, work_date="2026-10-01")
    await take(engine, approved(october, number=2))
    await take(engine, approved(an_approved_entry(5), by="user:fin", number=3))
    scope = {"contract_id": str(CONTRACT), "legal_entity_id": str(ENTITY)}[named]
    request = event_pb.ReleaseBillingEventsRequest(request_id=key(), through_date="2026-09-30")
    setattr(request, named, scope)

    response = await events_of(running).ReleaseBillingEvents(request)
    assert (response.released, response.held, response.needs_other_person) == (3, 0, 1)
    assert not response.has_more
    statuses = [status for _, status, _ in await rows(engine)]
    assert statuses == ["released"] * 3 + ["eligible"] * 2


async def test_the_checkpoint_holds_what_a_fact_stops_that_nobody_looked_at(
    engine: AsyncEngine, running: Running, waiting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_event.commands.record.RECONSIDERED_MAX", 0)
    await take(engine, recorded(2, credit_hold=True))
    assert {status for _, status, _ in await rows(engine)} == {"eligible"}

    request = event_pb.ReleaseBillingEventsRequest(request_id=key(), billing_event_ids=waiting)
    response = await events_of(running).ReleaseBillingEvents(request)
    assert (response.released, response.held) == (0, 3)
    assert {reasons for _, _, reasons in await rows(engine)} == {"credit_hold"}


async def test_a_manual_hold_keeps_a_row_until_a_person_clears_it(
    engine: AsyncEngine, running: Running, waiting: list[str]
) -> None:
    pmo, finance = events_of(running, PMO), events_of(running)
    place = event_pb.PlaceHoldRequest(
        request_id=key(), billing_event_id=waiting[0], reason="wait for the addendum"
    )
    placed = await pmo.PlaceHold(place)
    assert placed.billing_event.holds == [pb.HOLD_REASON_MANUAL]
    assert (placed.hold.detail, placed.hold.owner, placed.hold.opened_by) == (
        "wait for the addendum",
        "user:paula.pmo",
        "user:paula.pmo",
    )
    place.request_id = key()
    assert await refusal_of(pmo.PlaceHold(place)) == "hold.already_placed"

    clear = event_pb.ClearHoldRequest(
        request_id=key(), hold_id=placed.hold.hold_id, reason="signed"
    )
    cleared = await finance.ClearHold(clear)
    assert cleared.billing_event.status == pb.BILLING_EVENT_STATUS_ELIGIBLE
    assert (cleared.hold.cleared_by, cleared.hold.clearing_reason) == ("user:fin", "signed")
    clear.request_id = key()
    assert await refusal_of(finance.ClearHold(clear)) == "hold.already_cleared"
    clear.hold_id = str(an_id("abc"))
    assert await refusal_of(finance.ClearHold(clear)) == "hold.not_found"
    await assert_sound(engine)
    named = "SELECT method FROM audit_entry WHERE :row_id = ANY(aggregate_ids) ORDER BY audit_id"
    audited = await fetch(engine, named, row_id=UUID(waiting[0]))
    assert [entry.method.rpartition(".")[2] for entry in audited] == ["PlaceHold", "ClearHold"]


async def test_a_hold_with_a_cause_is_not_cleared_by_hand(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract()), sample(projects.MilestoneCompleted))
    finance = events_of(running)
    [hold] = (await finance.ListHolds(event_pb.ListHoldsRequest())).holds
    clear = event_pb.ClearHoldRequest(request_id=key(), hold_id=hold.hold_id, reason="please")
    assert await refusal_of(finance.ClearHold(clear)) == "hold.not_manual"


async def test_a_released_row_is_not_held(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    hold = event_pb.PlaceHoldRequest(request_id=key(), billing_event_id=row_id, reason="late")
    assert await refusal_of(events_of(running).PlaceHold(hold)) == (
        "billing_event.already_released"
    )


async def test_a_row_is_shown_with_its_holds_and_claims(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "2.50", "450.00")))
    request = event_pb.GetBillingEventRequest(billing_event_id=row_id)

    shown = await events_of(running).GetBillingEvent(request)
    assert shown.billing_event.quantity == "8.00"
    [claim] = shown.allocations
    assert (claim.quantity, claim.amount.amount) == ("2.50", "450.00")
    assert await refusal_of(events_of(running, ELSEWHERE).GetBillingEvent(request)) == (
        "caller.entity_forbidden"
    )
    request.billing_event_id = str(an_id("abc"))
    assert await refusal_of(events_of(running).GetBillingEvent(request)) == (
        "billing_event.not_found"
    )


async def test_rows_are_listed_by_service_date_page_by_page(
    engine: AsyncEngine, running: Running
) -> None:
    days = ("2026-09-03", "2026-09-01", "2026-09-02", "2026-09-01", "2026-09-04")
    entries = (an_approved_entry(n, work_date=day) for n, day in enumerate(days, 1))
    await take(engine, recorded(), activated(a_contract()), approved(*entries))
    found, token = [], ""
    while True:
        request = event_pb.ListBillingEventsRequest(page_size=2, page_token=token)
        page = await events_of(running).ListBillingEvents(request)
        found += [row.service_from for row in page.billing_events]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(days)
    nothing = await events_of(running, ELSEWHERE).ListBillingEvents(
        event_pb.ListBillingEventsRequest()
    )
    assert not nothing.billing_events


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 3),
        ({"contract_id": str(CONTRACT)}, 3),
        ({"contract_id": str(an_id("b2"))}, 0),
        ({"contract_line_id": str(HOURS)}, 2),
        ({"type": pb.BILLING_EVENT_TYPE_MILESTONE}, 1),
        ({"status": pb.BILLING_EVENT_STATUS_HELD}, 2),
        ({"hold_reason": pb.HOLD_REASON_OUTSIDE_TERM}, 1),
        ({"person_id": str(PERSON)}, 2),
        ({"person_id": str(PERSON), "project_id": str(an_id("112"))}, 0),
        ({"legal_entity_id": str(ENTITY)}, 3),
        ({"source_item_id": str(an_id("1301"))}, 1),
        ({"service_from": "2026-09-01", "service_through": "2026-09-07"}, 1),
    ],
    ids=lambda value: "" if isinstance(value, int) else " ".join(value),
)
async def test_rows_are_found_by_what_they_are_about(
    engine: AsyncEngine, running: Running, wanted: dict[str, Any], count: int
) -> None:
    await take(engine, recorded(), activated(a_contract()), sample(projects.MilestoneCompleted))
    early = an_approved_entry(2, work_date="2026-08-31")
    await take(engine, approved(an_approved_entry(1), early))
    request = event_pb.ListBillingEventsRequest(**wanted)
    page = await events_of(running).ListBillingEvents(request)
    assert len(page.billing_events) == count


async def test_holds_are_listed_with_age_owner_and_advice_also_of_work_without_a_row(
    engine: AsyncEngine, running: Running, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()), sample(projects.MilestoneCompleted))
    await take(engine, approved(an_approved_entry(1, role="architect")))
    move_clock(datetime.now(UTC).replace(year=datetime.now(UTC).year + 1))
    finance = events_of(running)

    first, second = (await finance.ListHolds(event_pb.ListHoldsRequest())).holds
    assert (first.reason, first.owner) == (pb.HOLD_REASON_AWAITING_ACCEPTANCE, "pmo")
    assert first.amount.amount == "9600.00"
    assert first.age_days >= 364
    assert (second.reason, second.owner) == (pb.HOLD_REASON_MISSING_RATE, "sales_operations")
    assert second.detail == "no rate for architect on 2026-09-07"
    assert "publish a rate card" in second.advice
    assert not second.HasField("billing_event_id")
    for wanted, count in [
        (event_pb.ListHoldsRequest(unrated_only=True), 1),
        (event_pb.ListHoldsRequest(owner="pmo"), 1),
        (event_pb.ListHoldsRequest(age_days_min=400), 0),
        (event_pb.ListHoldsRequest(reason=pb.HOLD_REASON_CREDIT_HOLD), 0),
        (event_pb.ListHoldsRequest(contract_id=str(CONTRACT), page_size=1), 1),
    ]:
        assert len((await finance.ListHolds(wanted)).holds) == count


async def test_the_position_of_a_contract_adds_up(engine: AsyncEngine, running: Running) -> None:
    await put_threshold(running, "2000.00")
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2880.00")))
    await take(
        engine,
        approved(an_approved_entry(1), an_approved_entry(2), an_approved_entry(3)),
        approved(an_approved_entry(4, role="architect"), number=2),
        sample(projects.MilestoneCompleted),
        sample(projects.MilestoneAccepted),
    )
    _milestone, first_hours, *_ = await row_ids(engine)
    await take(engine, billed((first_hours, "8.00", "1440.00")))

    request = position_pb.GetContractPositionRequest(contract_id=str(CONTRACT))
    stub = running.stub(PositionServiceStub, caller=FINANCE)
    position = await stub.GetContractPosition(request)
    fee, hours = position.lines
    assert (hours.unit, hours.rated.quantity, hours.rated.amount.amount) == (
        "hour",
        "24.00",
        "4320.00",
    )
    figures = [hours.held, hours.eligible, hours.released, hours.invoiced, hours.open]
    assert [figure.amount.amount for figure in figures] == [
        "1440.00",
        "0.00",
        "2880.00",
        "1440.00",
        "2880.00",
    ]
    [held] = hours.held_by_reason
    assert (held.reason, held.figure.quantity) == (pb.HOLD_REASON_LIMIT_EXCEEDED, "8.00")
    assert (fee.eligible.amount.amount, fee.eligible.quantity) == ("9600.00", "1")
    [unrated] = position.unrated
    assert (unrated.items, unrated.minutes) == (1, 480)

    request.contract_id = str(an_id("b2"))
    assert await refusal_of(stub.GetContractPosition(request)) == "contract.not_found"
    request.contract_id = str(CONTRACT)
    far = running.stub(PositionServiceStub, caller=ELSEWHERE)
    assert await refusal_of(far.GetContractPosition(request)) == "caller.entity_forbidden"


async def test_work_in_progress_of_a_past_day_never_changes(
    engine: AsyncEngine, running: Running, move_clock: MoveClock
) -> None:
    today = datetime.now(UTC).date()
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    stub = running.stub(PositionServiceStub, caller=FINANCE)
    request = position_pb.GetWipRequest(as_of=today.isoformat())
    with pytest.raises(Refusal) as refused:
        await stub.GetWip(request)
    assert refused.value.stable_code == "wip.day_not_over"
    assert "GET /v1/contracts/{contract_id}/position" in (refused.value.advice or "")

    move_clock(datetime.now(UTC).replace(year=today.year + 1))
    first = await stub.GetWip(request)
    [line] = first.lines
    assert (line.contract_line_id, line.amount.amount) == (str(HOURS), "1440.00")
    ages = (line.up_to_30_days, line.from_31_to_60_days, line.from_61_to_90_days)
    aged = [money.amount for money in (*ages, line.over_90_days)]
    assert sorted(aged) == ["0.00", "0.00", "0.00", "1440.00"]
    assert [total.amount for total in first.totals] == ["1440.00"]

    request.as_of = "2026-08-31"
    assert not (await stub.GetWip(request)).lines


async def test_limits_show_what_is_left(engine: AsyncEngine, running: Running) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    stub = running.stub(LimitServiceStub, caller=FINANCE)
    [limit] = (await stub.ListLimits(limit_pb.ListLimitsRequest(used_percent_min=72))).limits
    assert (limit.reserved.amount, limit.available.amount) == ("1440.00", "560.00")
    assert not (await stub.ListLimits(limit_pb.ListLimitsRequest(used_percent_min=73))).limits
    other = limit_pb.ListLimitsRequest(contract_id=str(an_id("b2")))
    assert not (await stub.ListLimits(other)).limits


async def test_a_policy_is_the_default_until_it_is_set(running: Running) -> None:
    stub = running.stub(ReleasePolicyServiceStub, caller=FINANCE)
    wanted = policy_pb.GetReleasePolicyRequest(legal_entity_id=str(ENTITY))
    assert not (await stub.GetReleasePolicy(wanted)).release_policy.HasField("threshold")

    await put_threshold(running, "10.00")
    changed = (await put_threshold(running, "20.00")).release_policy
    assert (changed.version, changed.set_by) == (2, "user:fin")
    assert (await stub.GetReleasePolicy(wanted)).release_policy == changed
    listed = await stub.ListReleasePolicies(policy_pb.ListReleasePoliciesRequest())
    assert list(listed.release_policies) == [changed]
    assert await refusal_of(put_threshold(running, "-1.00")) == (
        "release_policy.negative_threshold"
    )


async def test_charges_are_made_early_for_a_month_end_that_cannot_wait(
    engine: AsyncEngine, running: Running, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()))
    move_clock(datetime(2026, 9, 28, 9, 0, tzinfo=UTC))
    stub = running.stub(RecurringServiceStub, caller=FINANCE)

    def through(day: str) -> recurring_pb.GenerateRecurringChargesRequest:
        return recurring_pb.GenerateRecurringChargesRequest(request_id=key(), through_date=day)

    assert (await stub.GenerateRecurringCharges(through("2026-09-30"))).charged == 1
    assert (await stub.GenerateRecurringCharges(through("2026-09-30"))).charged == 0
    far = stub.GenerateRecurringCharges(through("2026-10-30"))
    assert await refusal_of(far) == "recurring.too_far_ahead"

    listed = recurring_pb.ListRecurringPeriodsRequest(contract_id=str(CONTRACT), page_size=2)
    page = await stub.ListRecurringPeriods(listed)
    assert [period.due_on for period in page.recurring_periods] == ["2026-09-30", "2026-10-31"]
    charged, planned = (period.status for period in page.recurring_periods)
    assert charged == recurring_pb.RECURRING_PERIOD_STATUS_CHARGED
    assert planned == recurring_pb.RECURRING_PERIOD_STATUS_PLANNED
    assert page.next_page_token


@pytest.mark.parametrize("roles", [["consultant"], ["integration"], []])
async def test_other_roles_are_refused(running: Running, roles: list[str]) -> None:
    caller = a_caller(*roles)
    calls = [
        events_of(running, caller).ListBillingEvents(event_pb.ListBillingEventsRequest()),
        events_of(running, caller).ReleaseBillingEvents(
            event_pb.ReleaseBillingEventsRequest(request_id=key(), contract_id=str(CONTRACT))
        ),
        running.stub(LimitServiceStub, caller=caller).ListLimits(limit_pb.ListLimitsRequest()),
    ]
    for call in calls:
        assert await refusal_of(call) == "caller.role_missing"


FORGED = [
    next_token(moment, an_id("1"))
    for moment in (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-09-01",
        "2026-09-01T00:00:00",
    )
]


@pytest.mark.parametrize("token", FORGED)
async def test_a_forged_token_of_an_instant_is_refused(running: Running, token: str) -> None:
    adjustments = running.stub(AdjustmentServiceStub, caller=FINANCE)
    requests = [
        adjustments.ListAdjustments(adjustment_pb.ListAdjustmentsRequest(page_token=token)),
        events_of(running).ListHolds(event_pb.ListHoldsRequest(page_token=token)),
    ]
    for call in requests:
        assert await refusal_of(call) == "request.malformed_page"


@pytest.mark.parametrize("token", ["nonsense", "WyIyMDI2LTA5LTAxIl0", "WyJ4IiwieSJd"])
async def test_a_page_token_from_elsewhere_is_refused(running: Running, token: str) -> None:
    requests = [
        events_of(running).ListBillingEvents(event_pb.ListBillingEventsRequest(page_token=token)),
        events_of(running).ListHolds(event_pb.ListHoldsRequest(page_token=token)),
    ]
    for call in requests:
        assert (await refusal_of(call)).startswith("request.malformed_")


async def test_who_recorded_an_acceptance_does_not_release_what_it_bills(
    engine: AsyncEngine, running: Running
) -> None:
    accepted = sample(projects.MilestoneAccepted)
    accepted.milestone.recorded_by = "user:fin"
    await take(engine, recorded(), activated(a_contract()), accepted)
    named = event_pb.ReleaseBillingEventsRequest(
        request_id=key(), billing_event_ids=await row_ids(engine)
    )
    call = events_of(running).ReleaseBillingEvents(named)
    assert await refusal_of(call) == "billing_event.second_person_required"

    matching = event_pb.ReleaseBillingEventsRequest(request_id=key(), contract_id=str(CONTRACT))
    own = await events_of(running).ReleaseBillingEvents(matching)
    assert (own.released, own.needs_other_person) == (0, 1)

    colleague = a_caller("finance", subject="user:lead")
    done = await events_of(running, colleague).ReleaseBillingEvents(named)
    assert done.released == 1
