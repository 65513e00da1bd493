"""Releases of any size as a job, and releases that are taken back from invoicing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    HOURS,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    line_of,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch, row_ids, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.commands import release_run
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import billing_event_pb2
from throughline.billing_event.v1 import release_service_pb2 as pb
from throughline.billing_event.v1.release_service_pb2_grpc import ReleaseServiceStub
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
    BillableItemServiceServicer,
    add_BillableItemServiceServicer_to_server,
)
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    PermissionDenied,
    Refusal,
    Unavailable,
)
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller
from throughline_runtime.ids import new_id
from throughline_testing.serving import Running, a_caller, faked, serving

FINANCE = a_caller("finance", subject="fiona.finance")
OTHER = an_id("b2")
ELSEWHERE = a_caller("finance", subject="ulla.us", entities=[an_id("e2")])


class Invoiced(FailedPrecondition):
    code = "billable_item.invoiced"


class Invoicing:
    """invoice-payment as billing-event meets it: it lets go of items, refuses, or is away."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, int]]] = []
        self.answer: Refusal | None = None

    async def withdraw(self, request: Any) -> items_pb.WithdrawItemsResponse:
        self.asked.append([(item.billing_event_id, item.version) for item in request.items])
        if self.answer is not None:
            raise self.answer
        return items_pb.WithdrawItemsResponse()


@pytest.fixture
def invoicing() -> Invoicing:
    return Invoicing()


@pytest.fixture
async def peers(invoicing: Invoicing) -> AsyncIterator[dict[str, str]]:
    servicer = faked(BillableItemServiceServicer, WithdrawItems=invoicing.withdraw)
    async with serving([(add_BillableItemServiceServicer_to_server, servicer)]) as target:
        yield {"invoice-payment": target}


async def eligible(engine: AsyncEngine, count: int, *, own: int = 0) -> None:
    """Have rows of 9,600.00 wait for a person; the last `own` were approved by finance itself."""
    contract = a_contract(rates={"senior_consultant": "1200.00"})
    others = [an_approved_entry(number) for number in range(1, count - own + 1)]
    mine = [an_approved_entry(number) for number in range(count - own + 1, count + 1)]
    events = [approved(*others)]
    if mine:
        events.append(approved(*mine, by=FINANCE.subject, number=2))
    await take(engine, recorded(), activated(contract), *events)


def a_scope(**different: Any) -> pb.ReleaseScope:
    return pb.ReleaseScope(contract_id=str(a_contract().contract_id), **different)


async def sent(engine: AsyncEngine) -> list[tuple[str, int]]:
    """Return the id and version of each row that was handed to invoicing, in order."""
    return [
        (row.billing_event_id, row.version)
        for event in await events_out(engine)
        if isinstance(event, own.BillingEventsReleased)
        for row in event.billing_events
    ]


async def start(running: Running, scope: pb.ReleaseScope, *, caller: Caller = FINANCE) -> Any:
    stub = running.stub(ReleaseServiceStub, caller=caller)
    reply = await stub.StartReleaseRun(pb.StartReleaseRunRequest(request_id="run", scope=scope))
    return reply.release_run


async def finished(running: Running, context: Context, run: Any) -> Any:
    await schedules.drive_releases(context)
    request = pb.GetReleaseRunRequest(release_run_id=run.release_run_id)
    reply = await running.stub(ReleaseServiceStub, caller=FINANCE).GetReleaseRun(request)
    return reply.release_run


async def refusal_of_scope(
    running: Running, method: str, scope: pb.ReleaseScope, caller: Caller = FINANCE
) -> tuple[str, str | None]:
    """Return the code and the field by which a preview, or a run, of this scope is refused."""
    preview = pb.PreviewReleaseRequest(scope=scope)
    run = pb.StartReleaseRunRequest(request_id=str(new_id()), scope=scope)
    stub: Any = running.stub(ReleaseServiceStub, caller=caller)
    with pytest.raises(Refusal) as refused:
        await getattr(stub, method)(preview if method == "PreviewRelease" else run)
    return refused.value.stable_code, refused.value.field


async def test_a_run_releases_what_the_caller_did_not_approve(
    engine: AsyncEngine, running: Running, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_run, "CHUNK_ROWS", 2)
    await eligible(engine, 7, own=2)
    run = await start(running, a_scope())
    assert (run.rows_found, run.rows_need_other_person) == (7, 2)
    assert await start(running, a_scope()) == run
    done = await finished(running, context, run)
    assert done.status == pb.RELEASE_RUN_STATUS_DONE
    assert (done.rows_released, done.rows_held) == (5, 0)
    assert [total.amount for total in done.released_amounts] == ["48000.00"]
    assert (
        sorted(status for _, status, _ in await rows(engine)) == ["eligible"] * 2 + ["released"] * 5
    )
    await assert_sound(engine)


async def test_a_preview_says_what_a_run_does_and_changes_nothing(
    engine: AsyncEngine, running: Running
) -> None:
    await eligible(engine, 3, own=1)
    stub = running.stub(ReleaseServiceStub, caller=FINANCE)
    [line] = (await stub.PreviewRelease(pb.PreviewReleaseRequest(scope=a_scope()))).lines
    assert (line.rows, line.amount.amount) == (2, "19200.00")
    assert (line.rows_need_other_person, line.amount_needs_other_person.amount) == (1, "9600.00")
    assert line.rows_held == 0
    assert {status for _, status, _ in await rows(engine)} == {"eligible"}


@pytest.mark.parametrize(
    ("narrowed", "count"),
    [
        ({"through_date": "2026-08-31"}, 0),
        ({"types": [billing_event_pb2.BILLING_EVENT_TYPE_EXPENSE]}, 0),
        ({"types": [billing_event_pb2.BILLING_EVENT_TYPE_TIME]}, 2),
        ({"max_amount": {"amount": "9599.99", "currency": "EUR"}}, 0),
        ({"max_amount": {"amount": "9600.00", "currency": "EUR"}}, 2),
        ({"max_amount": {"amount": "9600.00", "currency": "USD"}}, 0),
    ],
)
async def test_a_scope_narrows_a_run(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    narrowed: dict[str, Any],
    count: int,
) -> None:
    await eligible(engine, 2)
    done = await finished(running, context, await start(running, a_scope(**narrowed)))
    assert (done.rows_found, done.rows_released) == (count, count)


@pytest.mark.parametrize("method", ["PreviewRelease", "StartReleaseRun"])
async def test_a_greatest_amount_below_nothing_is_refused(
    engine: AsyncEngine, running: Running, method: str
) -> None:
    await eligible(engine, 1)
    scope = a_scope(max_amount={"amount": "-1.00", "currency": "EUR"})
    code, field = await refusal_of_scope(running, method, scope)
    assert (code, field) == ("release.max_amount_negative", "scope.max_amount.amount")


@pytest.mark.parametrize("method", ["PreviewRelease", "StartReleaseRun"])
async def test_a_contract_nobody_knows_is_named_rather_than_found_empty(
    engine: AsyncEngine, running: Running, method: str
) -> None:
    await eligible(engine, 1)
    code, field = await refusal_of_scope(
        running, method, pb.ReleaseScope(contract_id=str(new_id()))
    )
    assert (code, field) == ("contract.not_found", "scope.contract_id")
    code, _ = await refusal_of_scope(running, method, a_scope(), caller=ELSEWHERE)
    assert code == "caller.entity_forbidden"


async def test_a_run_leaves_what_came_on_hold_meanwhile(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await eligible(engine, 2)
    run = await start(running, a_scope())
    await take(engine, recorded(2, credit_hold=True))
    done = await finished(running, context, run)
    assert (done.rows_released, done.status) == (0, pb.RELEASE_RUN_STATUS_DONE)


async def test_a_stopped_run_releases_nothing_until_it_goes_on(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await eligible(engine, 2)
    run = await start(running, a_scope())
    stub = running.stub(ReleaseServiceStub, caller=FINANCE)
    stop = pb.StopReleaseRunRequest(request_id="stop", release_run_id=run.release_run_id)
    assert (await stub.StopReleaseRun(stop)).release_run.status == pb.RELEASE_RUN_STATUS_STOPPED
    assert (await finished(running, context, run)).rows_released == 0
    go_on = pb.ResumeReleaseRunRequest(request_id="resume", release_run_id=run.release_run_id)
    await stub.ResumeReleaseRun(go_on)
    assert (await finished(running, context, run)).rows_released == 2
    with pytest.raises(FailedPrecondition):
        await stub.StopReleaseRun(
            pb.StopReleaseRunRequest(request_id="late", release_run_id=run.release_run_id)
        )


async def released(engine: AsyncEngine, count: int = 1) -> list[str]:
    """Have rows released by policy, and return their ids."""
    entries = [an_approved_entry(number) for number in range(1, count + 1)]
    await take(engine, recorded(), activated(a_contract()), approved(*entries))
    return await row_ids(engine)


async def withdraw(
    running: Running, row_ids: list[str], *, hold: bool = False, key: str = "w"
) -> Any:
    reply = await running.stub(ReleaseServiceStub, caller=FINANCE).WithdrawRelease(
        pb.WithdrawReleaseRequest(
            request_id=key,
            billing_event_ids=row_ids,
            reason="the customer wants it in October",
            hold=hold,
        )
    )
    return reply.release_withdrawal


async def test_a_release_that_is_taken_back_waits_for_a_person_again(
    engine: AsyncEngine, running: Running, invoicing: Invoicing
) -> None:
    [row_id] = await released(engine)
    for _ in range(2):
        assert (await withdraw(running, [row_id])).status == pb.RELEASE_WITHDRAWAL_STATUS_DONE
    assert invoicing.asked == [[(row_id, 1)]]
    assert await rows(engine) == [("1440.00", "eligible", "")]
    [last] = (await events_out(engine))[-1:]
    assert isinstance(last, own.BillingEventsChanged)
    assert [row.version for row in last.billing_events] == [2]
    await assert_sound(engine)


async def test_released_once_more_it_goes_out_with_a_higher_version(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    [row_id] = await released(engine)
    await withdraw(running, [row_id])
    await finished(running, context, await start(running, a_scope()))
    sent = [
        each for each in await events_out(engine) if isinstance(each, own.BillingEventsReleased)
    ]
    assert [row.version for each in sent for row in each.billing_events] == [1, 3]


async def test_with_a_hold_no_run_takes_it_along(
    engine: AsyncEngine, running: Running, context: Context
) -> None:
    await withdraw(running, await released(engine), hold=True)
    assert await rows(engine) == [("1440.00", "held", "manual")]
    done = await finished(running, context, await start(running, a_scope()))
    assert done.rows_released == 0


async def test_what_invoicing_keeps_stays_released(
    engine: AsyncEngine, running: Running, invoicing: Invoicing
) -> None:
    invoicing.answer = Invoiced("it is on invoice INV-2026-000017")
    found = await withdraw(running, await released(engine))
    assert found.status == pb.RELEASE_WITHDRAWAL_STATUS_REFUSED
    assert found.refusal == "it is on invoice INV-2026-000017"
    assert await rows(engine) == [("1440.00", "released", "")]


async def test_while_invoicing_is_away_a_withdrawal_waits_and_goes_on_by_itself(
    engine: AsyncEngine, running: Running, context: Context, invoicing: Invoicing
) -> None:
    row_ids = await released(engine)
    invoicing.answer = Unavailable("starting")
    assert (await withdraw(running, row_ids)).status == pb.RELEASE_WITHDRAWAL_STATUS_PENDING
    with pytest.raises(AlreadyExists) as refused:
        await withdraw(running, row_ids, key="another")
    assert refused.value.stable_code == "release_withdrawal.under_way"
    invoicing.answer = None
    await schedules.settle_withdrawals(context)
    assert await rows(engine) == [("1440.00", "eligible", "")]
    [state] = await fetch(engine, "SELECT status FROM release_withdrawal")
    assert state.status == "done"


async def test_work_reversed_meanwhile_meets_its_reversal_in_invoicing(
    engine: AsyncEngine, running: Running, context: Context, invoicing: Invoicing
) -> None:
    [row_id] = await released(engine)
    invoicing.answer = Unavailable("starting")
    await withdraw(running, [row_id])
    entry = an_approved_entry()
    taker = an_approved_entry(2, minutes=-entry.minutes, reverses_time_entry_id=entry.time_entry_id)
    await take(engine, approved(taker, number=2))
    invoicing.answer = None
    await schedules.settle_withdrawals(context)
    sent = [
        each for each in await events_out(engine) if isinstance(each, own.BillingEventsReleased)
    ]
    last = {row.billing_event_id: row.version for each in sent for row in each.billing_events}
    assert last[row_id] == 2
    assert [status for _, status, _ in await rows(engine)] == ["released", "released"]
    await assert_sound(engine)


async def test_what_is_invoiced_or_not_released_has_no_release_to_take_back(
    engine: AsyncEngine, running: Running
) -> None:
    [first, second] = await released(engine, 2)
    await take(engine, billed((first, "8.00", "1440.00")))
    with pytest.raises(FailedPrecondition) as refused:
        await withdraw(running, [first, second], key="1")
    assert refused.value.stable_code == "billing_event.already_invoiced"
    await withdraw(running, [second], key="2")
    with pytest.raises(FailedPrecondition) as again:
        await withdraw(running, [second], key="3")
    assert again.value.stable_code == "billing_event.not_released"


async def listed(running: Running, caller: Caller = FINANCE, **wanted: Any) -> Any:
    stub = running.stub(ReleaseServiceStub, caller=caller)
    return await stub.ListReleaseWithdrawals(pb.ListReleaseWithdrawalsRequest(**wanted))


@pytest.fixture
async def withdrawals(engine: AsyncEngine, running: Running, invoicing: Invoicing) -> list[Any]:
    """Three withdrawals in the order they were asked for: done, refused and pending."""
    row_ids = await released(engine, 4)
    answers: list[Refusal | None] = [None, Invoiced("it is on an invoice"), Unavailable("starting")]
    found = []
    for number, answer in enumerate(answers):
        invoicing.answer = answer
        named = [row_ids[number], row_ids[3]] if number == 2 else [row_ids[number]]
        found.append(await withdraw(running, named, key=str(number)))
    return found


async def test_withdrawals_are_found_again_latest_first(
    running: Running, withdrawals: list[Any]
) -> None:
    page = await listed(running, page_size=2)
    rest = await listed(running, page_size=2, page_token=page.next_page_token)
    assert [*page.release_withdrawals, *rest.release_withdrawals] == withdrawals[::-1]
    assert rest.next_page_token == ""


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({"status": pb.RELEASE_WITHDRAWAL_STATUS_PENDING}, [2]),
        ({"status": pb.RELEASE_WITHDRAWAL_STATUS_REFUSED}, [1]),
        ({"legal_entity_id": str(ENTITY), "contract_id": str(CONTRACT)}, [2, 1, 0]),
        ({"legal_entity_id": str(an_id("e2"))}, []),
        ({"contract_id": str(an_id("abc"))}, []),
    ],
)
async def test_withdrawals_are_filtered_by_status_entity_and_contract(
    running: Running, withdrawals: list[Any], wanted: dict[str, Any], places: list[int]
) -> None:
    found = await listed(running, **wanted)
    assert list(found.release_withdrawals) == [withdrawals[place] for place in places]


async def test_withdrawals_of_other_entities_are_not_listed(
    engine: AsyncEngine, running: Running, withdrawals: list[Any]
) -> None:
    assert not (await listed(running, ELSEWHERE)).release_withdrawals
    with pytest.raises(PermissionDenied) as refused:
        await listed(running, ELSEWHERE, legal_entity_id=str(ENTITY))
    assert refused.value.stable_code == "caller.entity_forbidden"


async def test_one_row_of_another_entity_hides_a_withdrawal_from_who_may_not_see_it(
    engine: AsyncEngine, running: Running
) -> None:
    abroad = a_contract(contract_id=OTHER)
    abroad.legal_entity_id = str(an_id("e2"))
    await released(engine)
    line = str(line_of(OTHER, HOURS))
    entry = an_approved_entry(2, contract_id=str(OTHER), contract_line_id=line)
    await take(engine, activated(abroad), approved(entry, number=2))
    named = await row_ids(engine)
    assert len(named) == 2
    await withdraw(running, named)
    both = a_caller("finance", subject="bea.both", entities=[ENTITY, an_id("e2")])
    for wanted in (str(ENTITY), str(an_id("e2"))):
        [found] = (await listed(running, both, legal_entity_id=wanted)).release_withdrawals
        assert sorted(found.billing_event_ids) == sorted(named)
    for entity in (ENTITY, an_id("e2")):
        single = a_caller("finance", subject="one.only", entities=[entity])
        assert not (await listed(running, single)).release_withdrawals
