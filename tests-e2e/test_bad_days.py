"""Whatever is sent: a clear refusal, nothing changed, nothing of the inside shown."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from e2e_deals import (
    Deal,
    by_the_hour,
    found_entity,
    hire,
    import_quote,
    put_in_force,
    running_deal,
    the_customer,
)
from e2e_platform import Platform
from e2e_refusals import problem_of, rules_of
from e2e_rest import Rest
from e2e_sandbox import Sandbox

from throughline_cli.commands.token import mint
from throughline_cli.stack.secrets import Subject
from throughline_cli.story.told import Told

Body = dict[str, Any]

_MANY = 500
_MEBIBYTE = 2**20


class Office:
    """Sends what it is told to, as whom it is told, with a deal and a person of its own."""

    def __init__(self, sandbox: Sandbox, deal: Deal, person_id: str) -> None:
        self.sandbox = sandbox
        self.deal = deal
        self.person_id = person_id
        self._bearers = sandbox.bearers()
        self._http = httpx.Client(base_url=sandbox.url, timeout=60, trust_env=False)

    def send(
        self,
        method: str,
        path: str,
        body: Body | str | None = None,
        *,
        role: str = "integration",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        content = body if isinstance(body, str | None) else json.dumps(body)
        sent = {
            "Authorization": f"Bearer {self._bearers[role]}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        return self._http.request(method, path, content=content, headers=sent)

    def post(self, path: str, body: Body | str, *, role: str = "integration") -> httpx.Response:
        return self.send("POST", path, body, role=role)

    def entry(self, **changes: Any) -> Body:
        """Return a good entry, with changes that make it bad."""
        good = {
            "person_id": self.person_id,
            "task_id": self.deal.task_id,
            "work_date": "2026-09-07",
            "minutes": 60,
            "note": "Review",
        }
        return good | changes

    def report(self, **changes: Any) -> Body:
        """Return an expense report with one good line, with changes that make the line bad."""
        line = {
            "project_id": self.deal.project_id,
            "incurred_on": "2026-09-07",
            "category": "travel",
            "description": "Train",
            "net_amount": {"amount": "10.00", "currency": "EUR"},
            "tax_amount": {"amount": "0.70", "currency": "EUR"},
        }
        return {"person_id": self.person_id, "title": "Travel", "lines": [line | changes]}

    def totals(self) -> Any:
        """Return every control total of every service."""
        reply = self.send("GET", "/v1/operations/control-totals", role="auditor")
        assert reply.status_code == 200, reply.text
        return {
            (service["service"], total["name"]): total["figures"]
            for service in reply.json()["services"]
            for total in service["totals"]
        }

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def office(platform: Platform, told: Told) -> Iterator[Office]:
    """A deal beside those of the story, of a legal entity of its own."""
    assert told.reconciliation["settled"]
    sandbox = Sandbox(platform.layout, platform.state)

    async def prepare() -> tuple[Deal, str]:
        async with Rest(sandbox.url, sandbox.bearers()) as rest:
            entity_id = await found_entity(rest, "BAD")
            customer_id = await the_customer(rest)
            quote = await import_quote(rest, entity_id, customer_id, "BAD-1", [by_the_hour()])
            deal = await running_deal(rest, await put_in_force(rest, quote))
            [person_id] = await hire(rest, entity_id, ["Nora Klein"])
            return deal, person_id

    office = Office(sandbox, *asyncio.run(prepare()))
    _wait_until_settled(office)
    yield office
    office.close()


def _wait_until_settled(office: Office) -> None:
    deadline = time.monotonic() + 60
    while not office.send("GET", "/v1/reconciliation", role="auditor").json()["settled"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def nothing_changes(office: Office) -> Iterator[None]:
    """Every control total is the same afterwards: nothing stored, nothing published."""
    before = office.totals()
    yield
    assert office.totals() == before


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"colour": "red"}, "colour", "extra_forbidden"),
        ({"minutes": "sixty"}, "minutes", "int_type"),
        ({"minutes": 60.5}, "minutes", "int_type"),
        ({"minutes": True}, "minutes", "int_type"),
        ({"minutes": None}, "minutes", "int_type"),
        ({"minutes": -60}, "minutes", "greater_than_equal"),
        ({"minutes": 0}, "minutes", "greater_than_equal"),
        ({"minutes": 25 * 60}, "minutes", "less_than_equal"),
        ({"minutes": 10**30}, "minutes", "less_than_equal"),
        ({"person_id": 7}, "person_id", "string_type"),
        ({"person_id": "nobody"}, "person_id", "string_pattern_mismatch"),
        ({"person_id": str(uuid4())}, "person_id", "time_entry.person_unknown"),
        ({"task_id": str(uuid4())}, "task_id", "time_entry.task_unknown"),
        ({"work_date": "07.09.2026"}, "work_date", "string_pattern_mismatch"),
        ({"work_date": "2026-02-30"}, "work_date", "time_entry.malformed"),
        ({"work_date": "2025-12-31"}, "work_date", "time_entry.before_employment"),
        ({"note": "x" * 501}, "note", "string_too_long"),
        ({"billable": "yes"}, "billable", "bool_type"),
    ],
)
def test_a_bad_entry_is_refused_by_field_and_rule(
    office: Office, nothing_changes: None, changes: Body, field: str, rule: str
) -> None:
    reply = office.post("/v1/time-entries", office.entry(**changes))
    assert reply.status_code == 422
    assert rules_of(problem_of(reply)) == {(field, rule)}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_json(office: Office, nothing_changes: None, number: str) -> None:
    body = json.dumps(office.entry(minutes=0)).replace('"minutes": 0', f'"minutes": {number}')
    reply = office.post("/v1/time-entries", body)
    assert (reply.status_code, problem_of(reply)["code"]) == (422, "request.malformed")


@pytest.mark.parametrize("body", ["", "{", "[]", '"hours"', "null", "[" * 10_000, "\x00"])
def test_a_body_that_is_no_object_is_refused(
    office: Office, nothing_changes: None, body: str
) -> None:
    assert problem_of(office.post("/v1/time-entries", body))["status"] == 422


def test_a_day_has_no_more_than_24_hours_whatever_its_entries(
    office: Office, nothing_changes: None
) -> None:
    rows = [office.entry(minutes=800, note=note) for note in ("Morning", "Evening")]
    problem = problem_of(office.post("/v1/time-entries:batch", _batch(rows)))
    assert {rule for _, rule in rules_of(problem)} == {"time_entry.day_limit"}


@pytest.mark.parametrize(
    ("amount", "rule"),
    [
        ({"amount": 10.5, "currency": "EUR"}, "string_type"),
        ({"amount": "NaN", "currency": "EUR"}, "string_pattern_mismatch"),
        ({"amount": "1e3", "currency": "EUR"}, "string_pattern_mismatch"),
        ({"amount": "10.00", "currency": "euro"}, "string_pattern_mismatch"),
        ({"amount": "10.00"}, "missing"),
        ({"amount": "10.005", "currency": "EUR"}, "request.malformed_field"),
        ({"amount": "-10.00", "currency": "EUR"}, "expense_line.amount_invalid"),
        ({"amount": "10.00", "currency": "ZZZ"}, "money.unknown_currency"),
    ],
)
def test_an_amount_is_a_decimal_of_a_known_currency(
    office: Office, nothing_changes: None, amount: Body, rule: str
) -> None:
    reply = office.post("/v1/expense-reports", office.report(net_amount=amount))
    problem = problem_of(reply)
    [(field, found)] = rules_of(problem)
    assert (reply.status_code, found) == (422, rule)
    assert field.startswith("lines[0].net_amount")


def test_a_body_of_ten_megabytes_is_refused(office: Office, nothing_changes: None) -> None:
    reply = office.post("/v1/time-entries", office.entry(note="x" * (10 * _MEBIBYTE)))
    assert (reply.status_code, problem_of(reply)["code"]) == (413, "request.body_too_large")


def test_bad_rows_refuse_the_whole_batch_and_each_is_named(
    office: Office, nothing_changes: None
) -> None:
    problem = problem_of(office.post("/v1/time-entries:batch", _batch(_three_bad(office))))
    assert problem["status"] == 422
    assert rules_of(problem) == {
        ("rows[7].minutes", "time_entry.minutes_out_of_range"),
        ("rows[300].task_id", "time_entry.task_unknown"),
        ("rows[499].person_id", "time_entry.person_unknown"),
    }


def test_with_partial_the_good_rows_are_stored_and_each_row_has_its_result(office: Office) -> None:
    before = office.totals()
    reply = office.post(
        "/v1/time-entries:batch", _batch(_three_bad(office), partial=True, approved=True)
    )
    assert reply.status_code == 200, reply.text
    results = reply.json()["results"]
    assert [result["index"] for result in results] == list(range(_MANY))
    refused = {row["index"]: row["rule"] for row in results if row["outcome"] == "refused"}
    assert refused == {
        7: "time_entry.minutes_out_of_range",
        300: "time_entry.task_unknown",
        499: "time_entry.person_unknown",
    }
    _wait_until_settled(office)
    source = ("billing-event", "source_time")
    assert _gained(before, office.totals(), source, "entries") == _MANY - 3
    assert _gained(before, office.totals(), source, "minutes") == _MANY - 3


def test_a_key_stands_for_one_command_and_no_other(office: Office) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {
        "name": "Ines Brandt",
        "legal_entity_id": office.deal.legal_entity_id,
        "role": "consultant",
        "level": "",
        "region": "",
        "employed_from": "2026-01-01",
        "subject": "ines.brandt",
    }
    first = office.send("POST", "/v1/persons", body, role="pmo", headers=key)
    assert first.status_code == 200
    other = body | {"name": "Ines Brand"}
    refused = office.send("POST", "/v1/persons", other, role="pmo", headers=key)
    again = office.send("POST", "/v1/persons", body, role="pmo", headers=key)
    assert problem_of(refused)["code"] == "request.idempotency_key_reused"
    assert again.json() == first.json()


def test_a_token_must_be_sent_signed_and_in_time(
    office: Office, nothing_changes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, subject = office.sandbox.layout, Subject("ines.integration", ("integration",))
    good = mint(layout, subject, lifetime_seconds=60)
    with monkeypatch.context() as earlier:
        now = time.time()
        earlier.setattr("throughline_cli.stack.secrets.time.time", lambda: now - 3600)
        expired = mint(layout, subject, lifetime_seconds=60)
    header, claims, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    admin = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"roles": ["admin"]}
    forged = base64.urlsafe_b64encode(json.dumps(admin).encode()).decode().rstrip("=")
    bad = {
        "expired": f"Bearer {expired}",
        "unsigned": f"Bearer {unsigned}.{claims}.",
        "signature cut": f"Bearer {header}.{claims}.{signature[:-8]}",
        "claims changed": f"Bearer {header}.{forged}.{signature}",
        "no token": "Bearer",
        "another scheme": "Basic aW5lczpzZWNyZXQ=",
    }
    codes = {}
    for name, value in bad.items():
        reply = office.send(
            "POST", "/v1/time-entries", office.entry(), headers={"Authorization": value}
        )
        assert reply.status_code == 401, name
        assert reply.headers["www-authenticate"].startswith("Bearer")
        codes[name] = problem_of(reply)["code"]
    assert set(codes.values()) == {"token.invalid", "token.missing"}


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("auditor", "POST", "/v1/time-entries:batch", {"rows": [{}]}),
        ("sales", "POST", "/v1/billing-events:release", {}),
        ("integration", "POST", "/v1/timesheets:approve", {}),
        ("pmo", "POST", "/v1/invoice-runs", {}),
        ("pmo", "GET", "/v1/journal-entries", None),
        ("finance", "PUT", "/v1/delivery-templates/discovery", {}),
        ("finance", "POST", "/v1/operations/reporting/parked:replay", {"parked_ids": []}),
    ],
)
def test_another_roles_method_is_refused_before_its_body_is_read(
    office: Office,
    nothing_changes: None,
    role: str,
    method: str,
    path: str,
    body: Body | None,
) -> None:
    reply = office.send(method, path, body, role=role)
    assert (reply.status_code, problem_of(reply)["code"]) == (403, "caller.role_missing")


def test_another_entitys_work_cannot_be_touched(office: Office, nothing_changes: None) -> None:
    elsewhere = Subject("paul.pmo", ("pmo",), entities=(uuid4(),))
    bearer = mint(office.sandbox.layout, elsewhere, lifetime_seconds=60)
    headers = {"Authorization": f"Bearer {bearer}"}
    reply = office.send("POST", "/v1/time-entries", office.entry(), headers=headers)
    assert rules_of(problem_of(reply)) == {("person_id", "time_entry.person_unknown")}
    listed = office.send("GET", "/v1/projects", headers=headers)
    assert listed.json()["projects"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/invoices", 405),
        ("GET", f"/v1/invoices/{uuid4()}", 404),
        ("GET", "/v1/invoices/not-a-uuid", 422),
        ("GET", "/v1/invoices?page_size=ten", 422),
        ("GET", "/v1/invoices?page_token=forged", 422),
        ("GET", "/v1/invoices?colour=red", 422),
    ],
)
def test_what_is_not_there_is_said_so(
    office: Office, nothing_changes: None, method: str, path: str, status: int
) -> None:
    assert problem_of(office.send(method, path, role="finance"))["status"] == status


def test_a_media_type_that_is_not_taken_is_named(office: Office, nothing_changes: None) -> None:
    headers = {"Content-Type": "text/csv"}
    reply = office.send("POST", "/v1/time-entries", "person;minutes", headers=headers)
    assert (reply.status_code, problem_of(reply)["field"]) == (415, "Content-Type")


def _batch(rows: list[Body], *, partial: bool = False, approved: bool = False) -> Body:
    return {"rows": rows, "partial": partial, "approved": approved}


def _three_bad(office: Office) -> list[Body]:
    """Return 500 rows of a minute each, three of them bad, each in its own way."""
    rows = [
        office.entry(minutes=1, note=f"Row {n}", work_date=f"2026-09-{n % 20 + 1:02}")
        for n in range(_MANY)
    ]
    rows[7]["minutes"] = -1
    rows[300]["task_id"] = str(uuid4())
    rows[499]["person_id"] = "Nora"
    return rows


def _gained(before: Any, after: Any, total: tuple[str, str], figure: str) -> int:
    return int(after[total][figure]) - int(before[total][figure])
