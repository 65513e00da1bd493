"""Every check a project waits for: it pauses with an owner and advice, and goes on once mended."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from e2e_pause_acts import Start, agreed_rate
from e2e_pauses import CASES, CREDIT_HOLD, GIVEN_UP, UNREACHABLE, Case, Unreachable
from e2e_practice import Practice, at_a_fixed_fee, by_the_hour, each_month, money

from throughline_cli.api import Document

GUIDE: Final = Path(__file__).parent.parent / "docs" / "guides" / "pmo.md"
TOLD: Final = {
    *(one.reason for one in CASES),
    *(one.reason for one in UNREACHABLE),
    *GIVEN_UP,
}


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.reason)
def test_a_project_waits_for_its_check_and_goes_on(practice: Practice, one: Case) -> None:
    with beginning(practice, one) as start:
        start.contract_id = one.sell(start)
        one.harm(start)
        practice.put_in_force(start.contract_id)
        one.harm_in_force(start)

        paused = practice.run_of(start.contract_id)
        assert (paused["state"], paused["reason"], paused["owner"]) == (
            "paused",
            one.reason,
            one.owner,
        )
        assert_is_told(start, paused)
        assert projects_of(start) == []

        one.mend(start)
        start.resume()

        [project] = practice.projects(start.contract_id)
        assert practice.run_of(start.contract_id)["project_ids"] == [project["project_id"]]
        assert exceptions_of(start, paused) == []


@pytest.mark.parametrize("one", UNREACHABLE, ids=lambda one: one.reason)
def test_what_no_run_can_meet_is_refused_before(practice: Practice, one: Unreachable) -> None:
    with beginning(practice, CREDIT_HOLD) as start:
        refused = practice.refusal(lambda: one.attempt(start))

    assert refused.code == one.refused_as
    assert refused.problem["advice"]


def test_no_check_is_without_its_story(practice: Practice) -> None:
    entity, customer = practice.found_entity(), practice.customer()
    at_cost = {"service_code": "EXPENSES", "quantity": "1", "unit_price": money("5000.00")}
    lines = [at_a_fixed_fee(), by_the_hour(), each_month(), at_cost]
    contract = practice.deal(entity, customer, lines)
    practice.projects(contract["contract_id"])

    made = {check["code"] for check in practice.run_of(contract["contract_id"])["checks"]}

    # It stands alone: of a contract that is not there nothing else can be said.
    assert TOLD - {"contract.not_found"} == made


def test_the_guide_says_of_every_reason_what_to_do() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \|", GUIDE.read_text(), re.MULTILINE)

    assert {code for code, _ in rows} >= TOLD
    assert {(one.reason, one.owner) for one in CASES} <= {*rows}


def test_a_deal_in_another_currency_than_the_sellers_books_is_agreed_anew(
    practice: Practice,
) -> None:
    with beginning(practice, CREDIT_HOLD) as start:
        price = money("140.00", "USD")
        rates = agreed_rate(hourly_rate=price)
        line = by_the_hour(service_code=start.service_code, unit_price=price, rates=rates)
        offer = practice.offer(start.entity_id, start.customer_id, [line], currency="USD")
        start.contract_id = practice.approve(offer)
        practice.put_in_force(start.contract_id)
        paused = practice.run_of(start.contract_id)
        assert (paused["reason"], paused["owner"]) == ("contract.currency_mixed", "finance")
        assert_is_told(start, paused)

        terminate(start)
        line = by_the_hour(service_code=start.service_code)
        instead = practice.deal(start.entity_id, start.customer_id, [line])

        assert practice.projects(instead["contract_id"])
        assert_is_given_up(start, paused, "the contract ended")


def test_a_run_whose_contract_ends_asks_nobody_any_more(practice: Practice) -> None:
    with beginning(practice, CREDIT_HOLD) as start:
        paused = held(start)

        terminate(start)

        assert_is_given_up(start, paused, "the contract ended")
        checks = practice.sales.get(f"{start.contract_path}/readiness")["checks"]
        assert "contract.not_active" in {each["code"] for each in checks if not each["passed"]}


def test_a_run_that_is_given_up_leaves_nothing(practice: Practice) -> None:
    with beginning(practice, CREDIT_HOLD) as start:
        paused = held(start)

        path = f"/v1/provisioning-runs/{paused['run_id']}:cancel"
        practice.pmo.post(path, {"reason": "Deal is off"})

        assert_is_given_up(start, paused, "Deal is off")
        assert practice.broken_invariants() == []


@contextmanager
def beginning(practice: Practice, one: Case) -> Iterator[Start]:
    """Return an entity, a customer, a service and a template of the deal's own."""
    template_code = practice.name("pause").replace(" ", "-")
    entity = practice.found_entity()
    customer = practice.new_customer(tax_id=practice.tax_id())
    start = Start(practice, entity, customer, template_code)
    start.put_service()
    if one.template is not None:
        start.publish_template(one.template)
    with start.undoing:
        yield start


def held(start: Start) -> Document:
    """Sell to a customer on hold, and return the run that waits for that."""
    start.contract_id = CREDIT_HOLD.sell(start)
    CREDIT_HOLD.harm(start)
    start.practice.put_in_force(start.contract_id)
    return start.practice.run_of(start.contract_id)


def terminate(start: Start) -> None:
    end = {"terminate_on": start.practice.day(0), "reason": "Agreed anew"}
    start.practice.sales.post(f"{start.contract_path}:terminate", end)


def assert_is_told(start: Start, paused: Document) -> None:
    """Both the run and the exceptions queue say why, who mends it, how, and what then."""
    run = start.practice.pmo.get(f"/v1/provisioning-runs/{paused['run_id']}")["run"]
    [failed, *_] = run["checks"]
    assert (failed["code"], failed["owner"], failed["advice"]) == (
        run["reason"],
        run["owner"],
        run["advice"],
    )
    assert run["advice"]
    assert not failed["passed"]
    assert run["next_check_at"] is not None
    [told] = exceptions_of(start, run)
    assert (told["kind"], told["reason"], told["owner"]) == (
        "provisioning_run",
        run["reason"],
        run["owner"],
    )
    assert told["advice"].startswith(run["advice"])
    assert f"POST /v1/provisioning-runs/{run['run_id']}:resume" in told["advice"]


def assert_is_given_up(start: Start, paused: Document, reason: str) -> None:
    """Nothing was made, and nobody is asked to mend anything."""
    path = f"/v1/provisioning-runs/{paused['run_id']}"

    def look() -> Document | None:
        run: Document = start.practice.pmo.get(path)["run"]
        return run if run["state"] == "cancelled" else None

    run = start.practice.until("the run is given up", look)
    assert run["cancellation_reason"] == reason
    assert projects_of(start) == []
    assert exceptions_of(start, paused) == []


def projects_of(start: Start) -> list[Document]:
    path, filters = "/v1/projects", {"contract_id": start.contract_id}
    return list(start.practice.pmo.pages(path, "projects", **filters))


def exceptions_of(start: Start, run: Document) -> list[Document]:
    """Return what the exceptions queue holds about a run."""
    path, filters = "/v1/operations/exceptions", {"service": "project-provisioning"}
    found = start.practice.pmo.pages(path, "exceptions", **filters)
    return [each for each in found if each["subject_id"] == run["run_id"]]
