"""Whatever arrives, in whatever order: the right position, or a hold that says why."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    limit_changed,
    published,
    recorded,
)
from billing_event_world import (
    assert_sound,
    events_out,
    fetch,
    limit,
    released_ids,
    row_ids,
    rows,
    take,
    totals,
    unrated,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.domain.claim import ClaimBeforeRelease, ClaimExceedsRow
from billing_event.domain.position import BillingEventNotFound
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.customer_contract.v1 import customer_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_testing.samples import sample

KNOWN = (recorded(), activated(a_contract()))


def milestone_events() -> tuple[projects.MilestoneCompleted, projects.MilestoneAccepted]:
    return sample(projects.MilestoneCompleted), sample(projects.MilestoneAccepted)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_time_contract_and_customer_may_come_in_any_order_and_twice(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (*KNOWN, approved(an_approved_entry(1)))
    for index in (*order, *order):
        await take(engine, events[index])

    assert await rows(engine) == [("1440.00", "released", "")]
    assert await unrated(engine) == []
    assert released_ids(await events_out(engine)) == await row_ids(engine)
    await assert_sound(engine)


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_a_milestone_is_billed_once_accepted_whichever_event_comes_first(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (*KNOWN, *milestone_events())
    for index in (*order, *order):
        await take(engine, events[index])

    assert await rows(engine) == [("9600.00", "eligible", "")]
    assert (await totals(engine))["source_milestones"] == {
        "accepted": 1,
        "accepted_amount.EUR": 9600,
    }
    await assert_sound(engine)


async def test_a_completed_milestone_waits_for_acceptance(engine: AsyncEngine) -> None:
    completed, accepted = milestone_events()
    await take(engine, *KNOWN, completed)
    assert await rows(engine) == [("9600.00", "held", "awaiting_acceptance")]

    await take(engine, accepted)
    last = (await events_out(engine))[-1]
    assert isinstance(last, own.BillingEventsChanged)
    [row] = last.billing_events
    assert (row.version, len(row.holds)) == (2, 0)


def milestone_steps() -> list[projects.MilestoneCompleted | projects.MilestoneRejected]:
    """Return a milestone that is completed, refused and completed again, by version."""
    refused = sample(projects.MilestoneRejected)
    completed = projects.MilestoneCompleted(
        milestone=refused.milestone,
        engagement_id=refused.engagement_id,
        correlation_id=refused.correlation_id,
    )
    again = projects.MilestoneCompleted()
    again.CopyFrom(completed)
    completed.milestone.version, again.milestone.version = 2, 4
    return [completed, refused, again]


async def hold_details(engine: AsyncEngine) -> list[str]:
    found = await fetch(engine, "SELECT detail FROM hold WHERE cleared_at IS NULL")
    return [row.detail for row in found]


async def test_a_refused_milestone_stays_held_and_says_why(engine: AsyncEngine) -> None:
    completed, refused, again = milestone_steps()
    await take(engine, *KNOWN, completed)
    for _ in range(2):
        await take(engine, refused)

    assert await rows(engine) == [("14400.00", "held", "awaiting_acceptance")]
    assert await hold_details(engine) == [
        "the client refused the milestone: the integration view is missing"
    ]
    last = (await events_out(engine))[-1]
    assert isinstance(last, own.BillingEventsChanged)
    assert [row.version for row in last.billing_events] == [2]

    await take(engine, again)
    assert await hold_details(engine) == ["the client has not accepted the milestone"]
    accepted = projects.MilestoneAccepted(
        milestone=again.milestone,
        engagement_id=again.engagement_id,
        correlation_id=again.correlation_id,
    )
    accepted.milestone.accepted_on, accepted.milestone.version = "2026-11-20", 5
    await take(engine, accepted)
    await take(engine, refused)
    assert await rows(engine) == [("14400.00", "eligible", "")]
    await assert_sound(engine)


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_the_latest_word_on_a_milestone_counts_whatever_comes_first(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    completed, refused, again = milestone_steps()
    events = (activated(a_contract()), completed, refused, again)
    await take(engine, recorded())
    for index in order:
        await take(engine, events[index])

    assert await rows(engine) == [("14400.00", "held", "awaiting_acceptance")]
    assert await hold_details(engine) == ["the client has not accepted the milestone"]
    await assert_sound(engine)


async def test_the_same_event_twice_in_one_batch_counts_once(engine: AsyncEngine) -> None:
    completed, accepted = milestone_events()
    work = approved(an_approved_entry(1))
    await take(engine, *KNOWN, completed, completed, work, work)
    await take(engine, accepted, accepted)
    [row_id, _] = await row_ids(engine)
    assert await rows(engine) == [("9600.00", "eligible", ""), ("1440.00", "released", "")]
    published_rows = [
        row.version
        for event in await events_out(engine)
        if isinstance(event, own.BillingEventsChanged)
        for row in event.billing_events
        if row.billing_event_id == row_id
    ]
    assert published_rows == [2]


async def test_expenses_are_billed_at_cost_plus_markup_and_once(engine: AsyncEngine) -> None:
    report = sample(projects.ExpenseReportApproved)
    await take(engine, *KNOWN, report)
    await take(engine, report)

    assert await rows(engine) == [("210.00", "released", "")]
    assert (await totals(engine))["source_expenses"] == {"lines": 1, "net.EUR": 200}


async def test_work_without_a_rate_waits_for_a_card(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1, role="architect")))
    assert (await rows(engine), await unrated(engine)) == ([], ["missing_rate"])
    assert await events_out(engine) == []

    await take(engine, published({"consultant": "1.00"}))
    assert await unrated(engine) == ["missing_rate"]

    await take(engine, published({"architect": "200.00"}, version=2))
    assert await rows(engine) == [("1600.00", "released", "")]
    await assert_sound(engine)


async def test_an_older_card_that_comes_late_prices_nothing_anew(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, published({"architect": "200.00"}, version=2))
    await take(engine, published({"architect": "100.00"}, version=1))
    await take(engine, approved(an_approved_entry(1, role="architect")))
    assert await rows(engine) == [("1600.00", "released", "")]


async def test_a_customer_on_hold_stops_its_rows_until_it_is_cleared(
    engine: AsyncEngine,
) -> None:
    on_hold = recorded(2, credit_hold=True, tax_status=customer_pb2.TAX_STATUS_INVALID)
    await take(engine, *KNOWN, on_hold, approved(an_approved_entry(1)))
    assert await rows(engine) == [("1440.00", "held", "credit_hold tax_invalid")]

    await take(engine, recorded(3, tax_status=customer_pb2.TAX_STATUS_INVALID))
    assert await rows(engine) == [("1440.00", "held", "tax_invalid")]

    await take(engine, recorded(4))
    await take(engine, on_hold)
    assert await rows(engine) == [("1440.00", "released", "")]
    await assert_sound(engine)


async def test_a_credit_hold_stops_what_waits_for_the_checkpoint(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, *milestone_events())
    await take(engine, recorded(2, credit_hold=True))
    assert await rows(engine) == [("9600.00", "held", "credit_hold")]


@pytest.mark.parametrize("late", [False, True])
async def test_the_cap_holds_what_is_over_it_and_its_raise_lets_it_go(
    engine: AsyncEngine, *, late: bool
) -> None:
    """The vector of a cap of 1,000.00, with work of 900.00 and 200.00, raised to 1,100.00."""
    priced = {"consultant": "100.00"}
    contract = a_contract(not_to_exceed="1000.00", rates=priced)
    raised = limit_changed(a_contract(not_to_exceed="1100.00", rates=priced, version=2))
    work = [
        approved(an_approved_entry(1, minutes=540, role="consultant")),
        approved(an_approved_entry(2, minutes=120, role="consultant")),
    ]
    if late:
        await take(engine, recorded(), *work)
        await take(engine, activated(contract))
    else:
        await take(engine, recorded(), activated(contract), *work)

    assert await rows(engine) == [
        ("900.00", "released", ""),
        ("100.00", "released", ""),
        ("100.00", "held", "limit_exceeded"),
    ]
    assert await limit(engine) == ("1000.00", "1000.00", "0.00")

    await take(engine, raised)
    await take(engine, activated(contract), raised)
    assert await rows(engine) == [
        ("900.00", "released", ""),
        ("100.00", "released", ""),
        ("100.00", "released", ""),
    ]
    assert await limit(engine) == ("1100.00", "1100.00", "0.00")
    await assert_sound(engine)


async def test_terms_take_effect_by_their_version_not_by_their_arrival(
    engine: AsyncEngine,
) -> None:
    second = limit_changed(a_contract(not_to_exceed="2000.00", version=2))
    first = activated(a_contract(not_to_exceed="1000.00"))
    await take(engine, recorded(), second)
    await take(engine, first)
    assert await limit(engine) == ("2000.00", "0.00", "0.00")


async def test_a_limit_agreed_below_what_was_taken_stops_further_work_and_is_reported(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    await take(engine, limit_changed(a_contract(not_to_exceed="1000.00", version=2)))
    await take(engine, approved(an_approved_entry(2)))

    assert await limit(engine) == ("1440.00", "1440.00", "0.00")
    assert await rows(engine) == [
        ("1440.00", "released", ""),
        ("1440.00", "held", "limit_exceeded"),
    ]
    await assert_sound(engine)


async def test_a_first_limit_counts_the_work_rated_before_it(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1)))
    await take(engine, billed(((await row_ids(engine))[0], "2.00", "360.00")))
    await take(engine, limit_changed(a_contract(not_to_exceed="1500.00", version=2)))
    assert await limit(engine) == ("1500.00", "1080.00", "360.00")

    await take(engine, approved(an_approved_entry(2)))
    assert await rows(engine) == [
        ("1440.00", "released", ""),
        ("59.40", "released", ""),
        ("1380.60", "held", "limit_exceeded"),
    ]
    await assert_sound(engine)


async def test_a_second_limit_does_not_count_what_the_first_one_stopped(
    engine: AsyncEngine,
) -> None:
    priced = {"consultant": "100.00"}
    work = approved(an_approved_entry(1, minutes=600, role="consultant"))
    await take(engine, recorded(), activated(a_contract(not_to_exceed="400.00", rates=priced)))
    await take(engine, work)
    second = a_contract(not_to_exceed="400.00", rates=priced, version=2)
    second.not_to_exceed.amount, second.not_to_exceed.currency = "900.00", "EUR"
    await take(engine, limit_changed(second))
    whole = "SELECT reserved FROM limit_account WHERE contract_line_id IS NULL"
    assert [row.reserved for row in await fetch(engine, whole)] == [400]

    third = a_contract(not_to_exceed="1000.00", rates=priced, version=3)
    third.not_to_exceed.CopyFrom(second.not_to_exceed)
    await take(engine, limit_changed(third))

    assert [row.reserved for row in await fetch(engine, whole)] == [900]
    found = await totals(engine)
    assert found["positions"]["released.EUR"] == 900
    assert found["positions"]["held.EUR"] == 100
    await assert_sound(engine)


async def test_positions_add_up_through_partial_raises_of_a_limit(engine: AsyncEngine) -> None:
    priced = {"consultant": "100.00"}
    await take(engine, recorded(), activated(a_contract(not_to_exceed="200.00", rates=priced)))
    await take(engine, approved(an_approved_entry(1, minutes=600, role="consultant")))
    for version, agreed, released in (
        (2, "500.00", 500),
        (3, "750.00", 750),
        (4, "1000.00", 1000),
    ):
        raised = a_contract(not_to_exceed=agreed, rates=priced, version=version)
        await take(engine, limit_changed(raised))
        positions = (await totals(engine))["positions"]
        assert positions["rated.EUR"] == 1000
        assert positions["released.EUR"] == released
        assert positions["held.EUR"] == 1000 - released
        assert await limit(engine) == (agreed, agreed, "0.00")
        await assert_sound(engine)


async def test_a_reversal_gives_its_hours_back_to_work_that_was_stopped(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="1440.00")))
    await take(engine, approved(an_approved_entry(1), an_approved_entry(2)))
    await take(engine, approved(an_approved_entry(3, minutes=-480)))
    assert await rows(engine) == [
        ("1440.00", "released", ""),
        ("1440.00", "released", ""),
        ("-1440.00", "released", ""),
    ]
    assert await limit(engine) == ("1440.00", "1440.00", "0.00")
    await assert_sound(engine)


async def test_a_limit_that_is_no_longer_agreed_stops_nothing(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="100.00")))
    await take(engine, approved(an_approved_entry(1)))
    await take(engine, limit_changed(a_contract(version=2)))
    assert [status for _, status, _ in await rows(engine)] == ["released", "released"]
    await assert_sound(engine)


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ({"billable": False}, ([], [])),
        ({"contract_id": None, "contract_line_id": None}, ([], ["unmapped"])),
        ({"contract_line_id": None}, ([], ["unmapped"])),
        ({"contract_line_id": str(an_id("b101"))}, ([], [])),
        ({"work_date": "2026-08-31"}, ([("1440.00", "held", "outside_term")], [])),
        ({"contract_id": str(an_id("b2"))}, ([], ["contract_not_active"])),
    ],
    ids=["a cost", "no contract", "no line", "under the fixed fee", "early", "unknown contract"],
)
async def test_every_approved_entry_is_billed_held_or_explained(
    engine: AsyncEngine, different: dict[str, object], expected: tuple[list[object], list[str]]
) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1, **different)))
    assert (await rows(engine), await unrated(engine)) == expected
    await assert_sound(engine)


async def test_only_time_billable_under_a_line_counts_in_the_totals(
    engine: AsyncEngine,
) -> None:
    await take(
        engine,
        *KNOWN,
        approved(
            an_approved_entry(1),
            an_approved_entry(2, billable=False),
            an_approved_entry(3, contract_id=None, contract_line_id=None),
            an_approved_entry(4, contract_line_id=str(an_id("b101"))),
        ),
    )
    assert (await totals(engine))["source_time"] == {"entries": 2, "minutes": 960}


async def test_what_an_invoice_billed_is_claimed_once_and_committed(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    for _ in range(2):
        await take(engine, billed((row_id, "8.00", "1440.00")))

    assert (await totals(engine))["positions"] == {
        "rated.EUR": 1440,
        "held.EUR": 0,
        "eligible.EUR": 0,
        "released.EUR": 1440,
        "written_off.EUR": 0,
        "allocated.EUR": 1440,
        "open_released.EUR": 0,
        "invoiced.EUR": 1440,
        "credited.EUR": 0,
        "drawn.EUR": 0,
    }
    assert await limit(engine) == ("2000.00", "0.00", "1440.00")
    await assert_sound(engine)


@pytest.mark.parametrize(
    ("quantity", "amount"), [("8.01", "1440.00"), ("8.00", "1440.01"), ("-1.00", "-180.00")]
)
async def test_no_invoice_claims_more_than_is_open(
    engine: AsyncEngine, quantity: str, amount: str
) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    with pytest.raises(ClaimExceedsRow):
        await take(engine, billed((row_id, quantity, amount)))


async def test_a_row_that_was_not_released_is_not_invoiced(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, milestone_events()[0])
    [row_id] = await row_ids(engine)
    with pytest.raises(ClaimBeforeRelease):
        await take(engine, billed((row_id, "1", "9600.00")))


async def test_an_invoice_of_a_row_not_known_yet_is_tried_again_later(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(BillingEventNotFound):
        await take(engine, billed((str(an_id("181")), "8.00", "1440.00")))
