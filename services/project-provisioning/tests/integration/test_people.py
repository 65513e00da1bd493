"""Employment over time, what people cost, what they can do, and periods that are locked."""

from datetime import date
from typing import Any

import pytest
from project_provisioning_builders import DE01, US01
from project_provisioning_people import FINANCE, People, eur
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    Deal,
    World,
    a_key,
    a_row,
)
from sqlalchemy import text

from project_provisioning.consumers import keep_cost_rates
from project_provisioning.repository import employment
from project_provisioning.upkeep import cost_waiting_time, roll_employments
from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    CostRateCardPublished,
)
from throughline.customer_contract.v1 import cost_rate_pb2
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    PersonRecorded,
)
from throughline.project_provisioning.v1 import correction_service_pb2 as correction_pb
from throughline.project_provisioning.v1 import cost_service_pb2 as cost_pb
from throughline.project_provisioning.v1 import lock_service_pb2 as lock_pb
from throughline.project_provisioning.v1 import person_service_pb2 as person_pb
from throughline.project_provisioning.v1 import skill_service_pb2 as skill_pb
from throughline.project_provisioning.v1 import workforce_service_pb2 as pb
from throughline.project_provisioning.v1.correction_service_pb2_grpc import (
    TimeCorrectionServiceStub,
)
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Refusal,
)
from throughline_runtime.database import write
from throughline_testing.samples import sample
from throughline_testing.serving import a_caller

GERMAN_PMO = a_caller("pmo", subject="user:gerd.pmo", entities=[DE01])


@pytest.fixture
def people(world: World) -> People:
    return People(world)


@pytest.fixture
async def deal(world: World) -> Deal:
    deal = Deal(world)
    await deal.prepare(2)
    return deal


async def test_a_person_is_hired_and_announced(world: World, people: People) -> None:
    ada = await world.ada()

    request = pb.GetEmploymentsRequest(person_id=ada.person_id)
    [stretch] = (await people.workforce().GetEmployments(request)).employments
    assert (stretch.legal_entity_id, stretch.valid_from) == (str(DE01), "2024-01-01")
    [event] = await world.published(PersonRecorded)
    assert (event.person_id, event.version, len(event.employments)) == (ada.person_id, 1, 1)


async def test_a_transfer_moves_what_is_recorded_next_and_lists_what_stays(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    rows = [
        a_row(ada, deal.task, on=date(2026, 9, 7)),
        a_row(ada, deal.task, on=date(2026, 9, 8)),
    ]
    await world.import_time(rows)

    moved = await people.transfer(ada, str(US01), "2026-09-08", region="US")

    assert [each.legal_entity_id for each in moved.employments] == [str(DE01), str(US01)]
    [stays] = moved.recorded_time
    assert (stays.project_id, stays.first_on, stays.minutes) == (
        deal.project_id,
        "2026-09-08",
        480,
    )
    event = (await world.published(PersonRecorded))[-1]
    assert [each.legal_entity_id for each in event.employments] == [str(DE01), str(US01)]
    assert event.employments[0].valid_to == event.employments[1].valid_from == "2026-09-08"


async def test_time_of_a_day_is_the_company_of_that_days(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.transfer(ada, str(US01), "2026-09-09")

    await world.import_time(
        [a_row(ada, deal.task, on=date(2026, 9, day)) for day in (8, 9)], approved=True
    )

    query = "SELECT string_agg(legal_entity_id::text, ' ' ORDER BY work_date) FROM time_entry"
    assert await world.scalar(query) == f"{DE01} {US01}"


async def test_two_employments_of_one_day_are_refused_here_and_by_the_database(
    world: World, people: People
) -> None:
    ada = await world.ada()
    request = pb.EmployPersonRequest(
        request_id=a_key(),
        person_id=ada.person_id,
        employment=pb.Employment(
            legal_entity_id=str(US01), valid_from="2026-10-01", role="consultant"
        ),
    )

    with pytest.raises(AlreadyExists) as refused:
        await people.workforce().EmployPerson(request)
    assert refused.value.stable_code == "employment.overlap"
    assert "2024-01-01 to open" in refused.value.message
    insert = text(
        "INSERT INTO employment (person_id, valid_from, legal_entity_id, role, level, region)"
        " VALUES (:person_id, '2026-10-01', :entity, 'x', '', '')"
    )
    with pytest.raises(Exception, match="employment_overlap"):
        async with write(world.context.engine) as tx:
            await tx.execute(insert, {"person_id": ada.person_id, "entity": str(US01)})


async def test_a_transfer_takes_a_caller_who_acts_for_both_companies(
    world: World, people: People
) -> None:
    ada = await world.ada()

    with pytest.raises(PermissionDenied):
        await people.transfer(ada.person_id, str(US01), "2026-10-01", caller=GERMAN_PMO)


async def test_nothing_is_changed_in_a_locked_period(world: World, people: People) -> None:
    ada = await world.ada()
    await people.lock(DE01, "2026-09-01")

    with pytest.raises(FailedPrecondition) as refused:
        await people.transfer(ada.person_id, str(US01), "2026-08-31")
    assert refused.value.stable_code == "period.locked"
    await people.transfer(ada.person_id, str(US01), "2026-09-01")


async def test_finance_reopens_with_a_reason_that_stays(world: World, people: People) -> None:
    await people.lock(DE01, "2026-09-01")
    reopen = lock_pb.ReopenPeriodRequest(
        request_id=a_key(),
        legal_entity_id=str(DE01),
        open_from="2026-08-01",
        reason="late receipts",
    )

    with pytest.raises(PermissionDenied):
        await people.locks(PMO).ReopenPeriod(reopen)
    await people.locks().ReopenPeriod(reopen)

    request = lock_pb.ListLockChangesRequest(legal_entity_id=str(DE01), page_size=1)
    page = await people.locks().ListLockChanges(request)
    assert [(each.reopened, each.reason) for each in page.changes] == [(True, "late receipts")]
    request.page_token = page.next_page_token
    [first] = (await people.locks().ListLockChanges(request)).changes
    assert (first.reopened, first.open_from) == (False, "2026-09-01")


async def test_a_planned_change_is_taken_back_unless_time_is_recorded_under_it(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.transfer(ada, str(US01), "2026-09-08")
    revoke = pb.RevokeEmploymentRequest(request_id=a_key(), person_id=ada, valid_from="2026-09-08")
    await world.import_time([a_row(ada, deal.task, on=date(2026, 9, 8))])

    with pytest.raises(FailedPrecondition) as refused:
        await people.workforce().RevokeEmployment(revoke)
    assert refused.value.stable_code == "employment.in_use"

    await people.transfer(deal.people[1], str(US01), "2026-09-08")
    revoke.person_id = deal.people[1]
    [stretch] = (await people.workforce().RevokeEmployment(revoke)).employments
    assert not stretch.HasField("valid_to")


async def test_lists_follow_a_planned_transfer_when_its_day_comes(
    world: World, people: People
) -> None:
    ada = await world.ada()
    await people.transfer(ada.person_id, str(US01), "2099-01-01", role="principal")
    get = person_pb.GetPersonRequest(person_id=ada.person_id)
    await roll_employments(world.context)
    assert (await world.persons().GetPerson(get)).person.legal_entity_id == str(DE01)

    async with write(world.context.engine) as tx:
        assert await employment.roll(tx, today=date(2099, 1, 1)) == 1

    person = (await world.persons().GetPerson(get)).person
    assert (person.legal_entity_id, person.role) == (str(US01), "principal")


async def test_no_time_is_taken_after_the_employment_ended(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.workforce().EndEmployment(
        pb.EndEmploymentRequest(request_id=a_key(), person_id=ada, ends_on="2026-09-08")
    )

    await world.import_time([a_row(ada, deal.task, on=date(2026, 9, 7))])
    with pytest.raises(Refusal):
        await world.import_time([a_row(ada, deal.task, on=date(2026, 9, 8))])


def a_card(version: int, hourly_cost: str, **values: Any) -> CostRateCardPublished:
    entries = [
        cost_rate_pb2.CostRateEntry(
            role=role, hourly_cost=eur(hourly_cost), valid_from="2026-01-01", **values
        )
        for role in ("consultant", "senior_consultant")
    ]
    card = cost_rate_pb2.CostRateCard(
        cost_rate_card_id=str(US01),
        version=version,
        legal_entity_id=str(DE01),
        currency="EUR",
        entries=entries,
    )
    return CostRateCardPublished(cost_rate_card=card)


async def costs_of(people: People, **selection: Any) -> list[cost_pb.TimeCost]:
    request = cost_pb.ListTimeCostsRequest(**selection)
    return list((await people.costs().ListTimeCosts(request)).time_costs)


async def test_approved_time_is_costed_by_the_persons_own_cost_then_by_the_card(
    world: World, people: People, deal: Deal
) -> None:
    ada, other = deal.people
    await world.consume(keep_cost_rates, a_card(1, "50.00"))
    await people.set_cost(ada, "61.37")

    await world.import_time(
        [
            a_row(ada, deal.task, minutes=50),
            a_row(other, deal.task, minutes=60, billable=False),
        ],
        approved=True,
    )

    costs = {each.person_id: each for each in await costs_of(people)}
    assert costs[ada].amount == eur("51.14"), "50 ÷ 60 × 61.37, rounded once"
    assert costs[ada].hourly_cost == eur("61.37")
    assert costs[ada].origin == cost_pb.COST_ORIGIN_PERSON
    assert costs[other].amount == eur("50.00"), "time nobody bills costs all the same"
    assert (costs[other].origin, costs[other].card_version) == (cost_pb.COST_ORIGIN_CARD, 1)


async def test_the_agreed_card_costs_time_by_what_fits_it_best(
    world: World, people: People, deal: Deal
) -> None:
    ada, other = deal.people
    await world.consume(keep_cost_rates, sample(CostRateCardPublished))

    await world.import_time(
        [
            a_row(ada, deal.task, minutes=60),
            a_row(ada, deal.task, minutes=60, level="principal", note="board"),
            a_row(other, deal.task, minutes=60),
            a_row(other, deal.task, minutes=60, region="CH", note="Basel"),
        ],
        approved=True,
    )

    amounts = sorted(each.amount.amount for each in await costs_of(people))
    assert amounts == ["110.00", "71.25", "88.00", "92.50"]


async def test_after_a_transfer_the_cost_at_the_company_before_counts_no_more(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.set_cost(ada, "60.00")
    await people.transfer(ada, str(US01), "2026-09-08")

    await world.import_time(
        [a_row(ada, deal.task, on=date(2026, 9, day), minutes=60) for day in (7, 8)], approved=True
    )

    assert [each.work_date for each in await costs_of(people)] == ["2026-09-07"]
    assert await world.scalar("SELECT work_date FROM time_cost_missing") == date(2026, 9, 8)


async def test_a_reversal_takes_back_what_was_costed_whatever_an_hour_costs_by_now(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.set_cost(ada, "60.00")
    await world.import_time([a_row(ada, deal.task, minutes=50)], approved=True)
    await people.set_cost(ada, "99.99")
    entry = (await costs_of(people))[0].time_entry_id
    correct = world.running.stub(TimeCorrectionServiceStub, caller=PMO)

    await correct.ReverseTimeEntry(
        correction_pb.ReverseTimeEntryRequest(
            request_id=a_key(), time_entry_id=entry, reason="wrong project"
        )
    )

    costs = await costs_of(people)

    assert sorted(each.amount.amount for each in costs) == ["-50.00", "50.00"]
    assert {each.hourly_cost.amount for each in costs} == {"60.00"}


async def test_an_older_card_that_comes_late_changes_nothing(
    world: World, people: People, deal: Deal
) -> None:
    await world.consume(keep_cost_rates, a_card(2, "50.00"))
    await world.consume(keep_cost_rates, a_card(1, "45.00"))

    await world.import_time([a_row(deal.people[1], deal.task, minutes=60)], approved=True)

    [cost] = await costs_of(people)
    assert (cost.amount, cost.card_version) == (eur("50.00"), 2)


async def test_a_missing_cost_waits_in_the_queue_and_stops_no_approval(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await world.import_time([a_row(ada, deal.task)], approved=True)
    query = (
        "SELECT count(*) FROM exception_item WHERE kind = 'cost_rate.missing'"
        " AND owner = 'finance' AND closed_at IS NULL"
    )
    assert await world.scalar(query) == 1
    summary = cost_pb.GetTimeCostSummaryRequest(group_by=cost_pb.COST_GROUPING_MONTH)
    assert (await people.costs().GetTimeCostSummary(summary)).missing_entries == 1

    await people.set_cost(ada, "60.00")

    assert await world.scalar(query) == 0
    answer = await people.costs().GetTimeCostSummary(summary)
    [total] = answer.sums
    assert (total.key, total.amount, answer.missing_entries) == ("2026-09", eur("480.00"), 0)


async def test_waiting_time_is_costed_when_the_card_comes(
    world: World, people: People, deal: Deal
) -> None:
    await world.import_time([a_row(deal.people[1], deal.task, minutes=60)], approved=True)
    await world.consume(keep_cost_rates, a_card(1, "50.00"))

    await cost_waiting_time(world.context)

    assert [each.amount for each in await costs_of(people)] == [eur("50.00")]
    assert await world.scalar("SELECT count(*) FROM time_cost_missing") == 0


async def test_a_cost_recorded_later_leaves_what_was_costed(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.set_cost(ada, "60.00")
    await world.import_time([a_row(ada, deal.task, minutes=60)], approved=True)

    await people.set_cost(ada, "70.00")

    assert [each.amount for each in await costs_of(people)] == [eur("60.00")]


@pytest.mark.parametrize(
    "caller", [PMO, ADA_SIGNED_IN, INTEGRATION, a_caller("auditor", subject="user:auditor")]
)
async def test_costs_are_for_finance_and_for_whom_the_scope_was_given(
    people: People, caller: Any
) -> None:
    with pytest.raises(PermissionDenied):
        await people.costs(caller).ListTimeCosts(cost_pb.ListTimeCostsRequest())
    given = a_caller("pmo", subject="user:paula.pmo", scopes=["costs.read"])
    await people.costs(given).ListTimeCosts(cost_pb.ListTimeCostsRequest())
    with pytest.raises(PermissionDenied):
        await people.set_cost(str(DE01), "1.00", caller=given)


async def test_no_payload_of_people_says_what_they_cost(world: World, people: People) -> None:
    ada = await world.ada()
    await people.set_cost(ada.person_id, "61.37")

    person = await world.persons(FINANCE).GetPerson(
        person_pb.GetPersonRequest(person_id=ada.person_id)
    )
    employments = await people.workforce(FINANCE).GetEmployments(
        pb.GetEmploymentsRequest(person_id=ada.person_id)
    )
    await people.transfer(ada.person_id, str(US01), "2026-10-01")
    said = [person, employments, *(await world.published(PersonRecorded))]
    assert not any("61.37" in str(message) for message in said)


async def put_skill(people: People, code: str, *levels: str) -> None:
    await people.skills().PutSkill(
        skill_pb.PutSkillRequest(request_id=a_key(), code=code, name=code, levels=levels)
    )


async def give(people: People, person_id: str, code: str, level: int, **values: Any) -> None:
    request: dict[str, Any] = {
        "request_id": a_key(),
        "person_id": person_id,
        "skill_code": code,
        "level": level,
        "valid_from": "2026-01-01",
    }
    await people.skills().PutPersonSkill(skill_pb.PutPersonSkillRequest(**request | values))


async def test_people_are_found_by_all_of_some_skills_on_a_day(
    world: World, people: People
) -> None:
    ada, omar = await world.ada(), await world.a_person()
    await put_skill(people, "java", "basic", "good", "expert")
    await put_skill(people, "aws", "certified")
    await give(people, ada.person_id, "java", 3)
    await give(people, ada.person_id, "aws", 1, valid_to="2026-10-01", certified_on="2025-10-01")
    await give(people, omar.person_id, "java", 2)

    async def found(*skills: str, held_on: str = "2026-09-07") -> list[str]:
        request = skill_pb.ListSkilledPersonsRequest(skills=skills, held_on=held_on)
        persons = (await people.skills().ListSkilledPersons(request)).persons
        return [each.person_id for each in persons]

    assert await found("java:2") == sorted([ada.person_id, omar.person_id])
    assert await found("java:3") == [ada.person_id]
    assert await found("java", "aws") == [ada.person_id]
    assert await found("java", "aws", held_on="2026-10-01") == []
    with pytest.raises(NotFound):
        await found("cobol")


async def test_a_level_the_skill_does_not_have_is_refused_and_one_in_use_stays(
    world: World, people: People
) -> None:
    ada = await world.ada()
    await put_skill(people, "java", "basic", "good", "expert")

    with pytest.raises(InvalidArgument) as refused:
        await give(people, ada.person_id, "java", 4)
    assert refused.value.stable_code == "skill.level_unknown"
    await give(people, ada.person_id, "java", 3)
    with pytest.raises(FailedPrecondition) as in_use:
        await put_skill(people, "java", "basic", "good")
    assert in_use.value.stable_code == "skill.levels_in_use"


async def test_what_an_hour_costs_may_have_six_decimals_and_any_currency(
    world: World, people: People, deal: Deal
) -> None:
    ada = deal.people[0]
    await people.costs().SetPersonCost(
        cost_pb.SetPersonCostRequest(
            request_id=a_key(),
            person_id=ada,
            valid_from="2024-01-01",
            hourly_cost=Money(amount="9876.543211", currency="JPY"),
        )
    )

    await world.import_time([a_row(ada, deal.task, minutes=50)], approved=True)

    [cost] = await costs_of(people)
    assert cost.amount == Money(amount="8230", currency="JPY"), "8230.452… has no decimals"
