import time
from collections.abc import Callable, Mapping

import pytest

from throughline_simulators.control_client import ControlRefused
from throughline_simulators.testing import OrgUser, Simulators

Seed = Callable[..., Mapping[str, str]]
EXTERNAL_ID = {"object": "Account", "name": "Throughline_Key__c", "external_id": True}


def test_a_created_record_has_an_id_of_its_object(org: OrgUser) -> None:
    created = org.call("POST", "Account", {"Name": "Acme"})

    assert created.status_code == 201
    assert set(created.json()) == {"id", "success", "errors"}
    assert created.json()["id"].startswith("001")
    record = org.call("GET", f"Account/{created.json()['id']}").json()
    assert (record["Name"], record["CurrencyIsoCode"], record["Phone"]) == ("Acme", "EUR", None)


def test_only_the_fields_asked_for_are_read(org: OrgUser) -> None:
    record_id = org.call("POST", "Account", {"Name": "Acme"}).json()["id"]

    record = org.call("GET", f"Account/{record_id}?fields=Name,Phone").json()

    assert set(record) == {"attributes", "Name", "Phone"}


def test_each_change_moves_system_modstamp(simulators: Simulators, org: OrgUser) -> None:
    record_id = org.call("POST", "Account", {"Name": "Acme"}).json()["id"]
    before = org.call("GET", f"Account/{record_id}").json()["SystemModstamp"]
    simulators.control.move_clock(offset_seconds=3600)

    changed = org.call("PATCH", f"Account/{record_id}", {"Phone": "1"})

    after = org.call("GET", f"Account/{record_id}").json()["SystemModstamp"]
    assert (changed.status_code, changed.content) == (204, b"")
    assert after > before


def test_a_deleted_record_is_gone(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()

    assert org.call("DELETE", f"SBQQ__Quote__c/{ids['q']}").status_code == 204

    assert org.call("GET", f"SBQQ__Quote__c/{ids['q']}").status_code == 404
    assert org.rows("SELECT Id FROM SBQQ__QuoteLine__c") == []


def test_upsert_adds_then_changes(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.seed([], fields=[EXTERNAL_ID])

    added = org.call("PATCH", "Account/Throughline_Key__c/k-1", {"Name": "Acme"})
    changed = org.call("PATCH", "Account/Throughline_Key__c/k-1", {"Name": "Acme SE"})

    assert (added.status_code, added.json()["created"]) == (201, True)
    assert (changed.status_code, changed.json()["created"]) == (200, False)
    assert added.json()["id"] == changed.json()["id"]
    assert org.call("GET", "Account/Throughline_Key__c/k-1").json()["Name"] == "Acme SE"


def test_older_versions_answer_an_updating_upsert_with_no_content(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.seed([], fields=[EXTERNAL_ID])
    path = "/services/data/v40.0/sobjects/Account/Throughline_Key__c/k-1"

    statuses = [org.http.patch(path, json={"Name": "Acme"}).status_code for _ in range(2)]

    assert statuses == [201, 204]


def test_upsert_can_forbid_to_add(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.seed([], fields=[EXTERNAL_ID])

    refused = org.call("PATCH", "Account/Throughline_Key__c/k-1?updateOnly=true", {"Name": "A"})

    assert refused.status_code == 404
    assert org.rows("SELECT Id FROM Account") == []


def test_an_ambiguous_external_id_offers_the_choices(simulators: Simulators, org: OrgUser) -> None:
    twin = {"attributes": {"type": "Account"}, "Name": "Acme", "Throughline_Key__c": "k-1"}
    simulators.salesforce.seed([twin, twin], fields=[EXTERNAL_ID])

    reply = org.call("PATCH", "Account/Throughline_Key__c/k-1", {"Name": "Acme SE"})

    assert reply.status_code == 300
    assert all(url.startswith("/services/data/v59.0/sobjects/Account/001") for url in reply.json())
    assert len(reply.json()) == 2


def test_many_are_upserted_in_one_call_each_by_itself(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.seed([], fields=[EXTERNAL_ID])
    records = [
        {"Throughline_Key__c": "k-1", "Name": "Acme"},
        {"Throughline_Key__c": "k-2", "Nothing": 1},
        {"Throughline_Key__c": "k-1", "Name": "Acme SE"},
    ]

    reply = org.http.patch(
        "/services/data/v59.0/composite/sobjects/Account/Throughline_Key__c",
        json={"allOrNone": False, "records": records},
    )

    assert [result["success"] for result in reply.json()] == [True, False, True]
    assert reply.json()[1]["errors"][0]["statusCode"] == "INVALID_FIELD"
    assert reply.json()[2]["created"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "Account", {"Nothing": 1}, "INVALID_FIELD"),
        ("POST", "Account", {}, "REQUIRED_FIELD_MISSING"),
        ("POST", "Account", {"Name": "A", "Phone": "x" * 41}, "STRING_TOO_LONG"),
        ("POST", "Account", {"Name": "A", "ParentId": "acme"}, "MALFORMED_ID"),
        ("POST", "Account", {"Name": "A", "ParentId": "0015g00000LmN34AAF"},
         "INVALID_CROSS_REFERENCE_KEY"),
        ("POST", "Account", {"Name": "A", "SystemModstamp": "2026-07-01T10:00:00Z"},
         "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("POST", "Opportunity", {"Name": "A", "StageName": "Won", "CloseDate": "2026-07-01"},
         "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("POST", "Opportunity", {"Name": "A", "StageName": "Closed Won", "CloseDate": "soon"},
         "JSON_PARSER_ERROR"),
        ("POST", "Nothing__c", {"Name": "A"}, "NOT_FOUND"),
        ("PATCH", "Account/0015g00000LmN34AAF", {"Name": "A"}, "NOT_FOUND"),
        ("PATCH", "Account/Phone/1", {"Name": "A"}, "NOT_FOUND"),
    ],
)  # fmt: skip
def test_a_wrong_write_is_refused_and_changes_nothing(
    org: OrgUser, method: str, path: str, body: dict[str, object], code: str
) -> None:
    refused = org.call(method, path, body)

    assert refused.json()[0]["errorCode"] == code
    assert refused.status_code == (404 if code == "NOT_FOUND" else 400)
    assert org.rows("SELECT Id FROM Account") == []


def test_errors_name_the_fields_at_fault_unless_switched_off(
    simulators: Simulators, org: OrgUser
) -> None:
    with_fields = org.call("POST", "Account", {}).json()[0]
    simulators.salesforce.turn(
        errors_carry_fields=False, error_code_names={"REQUIRED_FIELD_MISSING": "MISSING_ARGUMENT"}
    )
    without = org.call("POST", "Account", {}).json()[0]

    assert with_fields["fields"] == ["Name"]
    assert "fields" not in without
    assert without["errorCode"] == "MISSING_ARGUMENT"


def test_a_body_that_is_no_json_object_is_refused(org: OrgUser) -> None:
    for content in ("{", "[1]", '{"Name": NaN}'):
        refused = org.http.post("/services/data/v59.0/sobjects/Account", content=content)
        assert refused.json()[0]["errorCode"] == "JSON_PARSER_ERROR"


def test_a_unique_value_is_taken_once(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.seed([], fields=[{**EXTERNAL_ID, "unique": True}])
    body = {"Name": "Acme", "Throughline_Key__c": "k-1"}

    first, second = org.call("POST", "Account", body), org.call("POST", "Account", body)

    assert first.status_code == 201
    assert second.json()[0]["errorCode"] == "DUPLICATE_VALUE"


def test_a_locked_row_is_told_and_can_be_retried(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(row_locks_next=1)

    first, second = (org.call("POST", "Account", {"Name": "Acme"}) for _ in range(2))

    assert first.json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"
    assert second.status_code == 201


@pytest.mark.parametrize(
    ("stage", "closed", "won", "probability"),
    [
        ("Prospecting", False, False, 10),
        ("Closed Won", True, True, 100),
        ("Closed Lost", True, False, 0),
    ],
)
def test_the_stage_of_an_opportunity_says_whether_it_is_won(
    org: OrgUser, stage: str, closed: bool, won: bool, probability: int
) -> None:
    body = {"Name": "Deal", "CloseDate": "2026-07-31", "StageName": stage}
    record_id = org.call("POST", "Opportunity", body).json()["id"]

    record = org.call("GET", f"Opportunity/{record_id}").json()

    assert (record["IsClosed"], record["IsWon"]) == (closed, won)
    assert record["Probability"] == probability


def test_a_seed_can_be_loaded_twice(org: OrgUser, a_quote: Seed) -> None:
    assert a_quote() == a_quote()

    assert len(org.rows("SELECT Id FROM SBQQ__QuoteLine__c")) == 2


def test_a_seed_takes_what_a_query_gave(simulators: Simulators, org: OrgUser) -> None:
    exported = {
        "attributes": {"type": "SBQQ__Quote__c", "url": "/services/data/v59.0/x"},
        "Id": "a0q5g000001AbCdAAK",
        "SBQQ__Status__c": "Approved",
        "SBQQ__NetAmount__c": 1.0,
        "SystemModstamp": "2026-07-31T09:14:03.000+0000",
        "SBQQ__Account__r": {"Name": "Acme"},
        "SBQQ__LineItems__r": {
            "totalSize": 1,
            "done": True,
            "records": [{"SBQQ__Quantity__c": 2, "SBQQ__NetPrice__c": 50, "SBQQ__NetTotal__c": 7}],
        },
    }

    simulators.salesforce.seed([exported])

    [quote] = org.rows("SELECT Id, SBQQ__NetAmount__c, SystemModstamp FROM SBQQ__Quote__c")
    assert quote["Id"] == "a0q5g000001AbCdAAK"
    assert quote["SBQQ__NetAmount__c"] == 100
    assert quote["SystemModstamp"] == "2026-07-31T09:14:03.000+0000"


@pytest.mark.parametrize(
    "record",
    [
        {"Name": "no type"},
        {"attributes": {"type": "Nothing"}},
        {"attributes": {"type": "Account"}, "Name": "A", "Nothing": 1},
        {"attributes": {"type": "Account"}, "Name": "A", "ParentId": "@nobody"},
    ],
)
def test_a_wrong_seed_is_refused(simulators: Simulators, record: dict[str, object]) -> None:
    with pytest.raises(ControlRefused, match="422"):
        simulators.salesforce.seed([record])


def test_stamps_count_whole_seconds_so_that_many_records_share_one(org: OrgUser) -> None:
    started = time.time()
    while time.time() - started < 0.2:
        org.call("POST", "Account", {"Name": "Acme"})

    stamps = {row["SystemModstamp"] for row in org.rows("SELECT SystemModstamp FROM Account")}

    assert len(stamps) <= 2
    assert all(stamp.endswith(".000+0000") for stamp in stamps)
