import time

import httpx
import pytest

from throughline_simulators.control_client import ControlRefused
from throughline_simulators.testing import OrgUser, Simulators

ANY_QUERY = "SELECT Id FROM Account"


def list_intents(simulators: Simulators, **params: str) -> httpx.Response:
    return httpx.get(
        f"{simulators.stripe_url}/v1/payment_intents",
        params=params,
        headers={"Authorization": "Bearer sk_test_simulated"},
    )


def test_the_next_calls_find_the_vendor_down(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(unavailable_next=2, retry_after_seconds=7)

    replies = [org.query(ANY_QUERY) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert replies[0].json()[0]["errorCode"] == "SERVER_UNAVAILABLE"
    assert replies[0].headers["Retry-After"] == "7"


def test_a_vendor_that_is_down_may_answer_with_a_page(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(unavailable_next=1, unavailable_as_html=True)

    assert org.query(ANY_QUERY).headers["Content-Type"].startswith("text/html")


def test_being_down_by_chance_is_repeatable(simulators: Simulators) -> None:
    def statuses() -> list[int]:
        simulators.stripe.turn(unavailable_probability=0.5, random_seed=42)
        return [list_intents(simulators).status_code for _ in range(20)]

    first = statuses()

    assert set(first) == {200, 503}
    assert first == statuses()


@pytest.mark.parametrize(("status", "given"), [(403, {}), (429, {"throttled_status": 429})])
def test_salesforce_refuses_too_many_calls_in_its_shape(
    simulators: Simulators, org: OrgUser, status: int, given: dict[str, int]
) -> None:
    simulators.salesforce.turn(throttled_next=1, **given)

    refused = org.query(ANY_QUERY)

    assert refused.status_code == status
    assert refused.json()[0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    assert "Retry-After" not in refused.headers


def test_stripe_refuses_too_many_calls_in_its_shape(simulators: Simulators) -> None:
    simulators.stripe.turn(throttled_next=1)

    refused = list_intents(simulators)

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit"
    assert list_intents(simulators).status_code == 200


def test_a_call_that_hangs_has_done_its_work(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(hang_next=1, hang_seconds=5)

    with pytest.raises(httpx.ReadTimeout):
        org.http.post("/services/data/v59.0/sobjects/Account", json={"Name": "Acme"}, timeout=0.3)

    assert [row["Name"] for row in org.rows("SELECT Name FROM Account")] == ["Acme"]


def test_faults_strike_only_where_they_are_wanted(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(only_on="POST /services/data", unavailable_next=1)

    assert org.query(ANY_QUERY).status_code == 200
    assert org.call("POST", "Account", {"Name": "Acme"}).status_code == 503


def test_latency_is_added_to_each_call(simulators: Simulators) -> None:
    simulators.stripe.turn(latency_milliseconds=200)
    started = time.monotonic()

    list_intents(simulators)

    assert time.monotonic() - started >= 0.2


def test_calls_are_counted_by_operation_status_and_fault(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.turn(unavailable_next=1)
    for soql in (ANY_QUERY, ANY_QUERY, "SELECT"):
        org.query(soql)

    calls = simulators.salesforce.calls()

    assert calls["operations"]["GET /services/data/{version}/query"] == 2
    assert calls["statuses"] == {"200": 2, "400": 1, "503": 1}
    assert calls["faults"] == {"unavailable": 1}


def test_a_reset_turns_everything_back_and_keeps_the_data_unless_told(
    simulators: Simulators, org: OrgUser
) -> None:
    org.call("POST", "Account", {"Name": "Acme"})
    simulators.salesforce.turn(page_size=3, unavailable_next=5)

    simulators.salesforce.reset()

    assert len(org.rows(ANY_QUERY)) == 1
    assert simulators.salesforce.switches()["page_size"] == 2000
    simulators.salesforce.reset(data=True)
    assert OrgUser(simulators.salesforce_url).rows(ANY_QUERY) == []


@pytest.mark.parametrize(
    "change", [{"page_size": 0}, {"unknown": 1}, {"unavailable_probability": 2}, {"page_size": "x"}]
)
def test_a_switch_that_does_not_exist_or_fit_is_refused(
    simulators: Simulators, change: dict[str, object]
) -> None:
    before = simulators.salesforce.switches()

    with pytest.raises(ControlRefused, match="422"):
        simulators.salesforce.turn(**change)

    assert simulators.salesforce.switches() == before


def test_the_vendors_clock_can_run_ahead(simulators: Simulators, org: OrgUser) -> None:
    simulators.control.move_clock(offset_seconds=30 * 86400)

    org.call("POST", "Account", {"Name": "Acme"})
    paid = simulators.stripe.receive_bank_transfer(amount=100, currency="eur", metadata={})

    [row] = org.rows("SELECT SystemModstamp FROM Account")
    assert paid["created"] > time.time() + 29 * 86400
    assert row["SystemModstamp"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 29 * 86400))
