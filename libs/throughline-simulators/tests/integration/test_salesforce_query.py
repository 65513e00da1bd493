from collections.abc import Callable, Mapping

import pytest

from throughline_simulators.testing import OrgUser, Simulators

Seed = Callable[..., Mapping[str, str]]


def seed_accounts(simulators: Simulators) -> None:
    simulators.salesforce.seed(
        [
            {"attributes": {"type": "Account"}, "Name": "Alpha", "Type": "Customer",
             "BillingCity": "Köln", "SystemModstamp": "2026-07-01T10:00:00Z"},
            {"attributes": {"type": "Account"}, "Name": "beta", "Type": "Partner",
             "SystemModstamp": "2026-07-02T10:00:00Z"},
            {"attributes": {"type": "Account"}, "Name": "Gamma",
             "SystemModstamp": "2026-07-02T10:00:00Z"},
            {"attributes": {"type": "Account"}, "Name": "O'Hara", "Type": "Customer",
             "SystemModstamp": "2026-07-03T10:00:00Z"},
        ]
    )  # fmt: skip


def names(org: OrgUser, where: str, order: str = "Name") -> list[str]:
    return [row["Name"] for row in org.rows(f"SELECT Name FROM Account {where} ORDER BY {order}")]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("WHERE Name = 'ALPHA'", ["Alpha"]),
        (r"WHERE Name = 'O\'Hara'", ["O'Hara"]),
        ("WHERE Type != 'Customer'", ["beta", "Gamma"]),
        ("WHERE Type = null", ["Gamma"]),
        ("WHERE Type IN ('Customer', 'Nobody')", ["Alpha", "O'Hara"]),
        ("WHERE Type NOT IN ('Customer')", ["beta", "Gamma"]),
        ("WHERE Name LIKE '%a'", ["Alpha", "beta", "Gamma", "O'Hara"]),
        ("WHERE Name LIKE '_eta'", ["beta"]),
        ("WHERE NOT Name LIKE '%a%'", []),
        ("WHERE SystemModstamp > 2026-07-02T10:00:00Z", ["O'Hara"]),
        ("WHERE SystemModstamp >= 2026-07-02T12:00:00+02:00", ["beta", "Gamma", "O'Hara"]),
        ("WHERE SystemModstamp < 2026-07-02T10:00:00.000Z", ["Alpha"]),
        ("WHERE SystemModstamp <= 2026-07-02T10:00:00Z AND Type != null", ["Alpha", "beta"]),
        ("WHERE (Name = 'beta' OR Name = 'gamma') AND IsDeleted = FALSE", ["beta", "Gamma"]),
    ],
)
def test_conditions_find_what_the_vendor_would(
    simulators: Simulators, org: OrgUser, where: str, found: list[str]
) -> None:
    seed_accounts(simulators)

    assert names(org, where) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("Type, Name", ["Gamma", "Alpha", "O'Hara", "beta"]),
        ("Type NULLS LAST, Name DESC", ["O'Hara", "Alpha", "beta", "Gamma"]),
        ("SystemModstamp DESC, Name", ["O'Hara", "beta", "Gamma", "Alpha"]),
        ("Name LIMIT 2", ["Alpha", "beta"]),
        ("Name LIMIT 2 OFFSET 1", ["beta", "Gamma"]),
    ],
)
def test_rows_come_in_the_order_asked_for(
    simulators: Simulators, org: OrgUser, order: str, found: list[str]
) -> None:
    seed_accounts(simulators)

    assert names(org, "", order) == found


def test_a_quote_is_read_with_its_parents_and_lines_at_once(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()

    [quote] = org.rows(
        "SELECT Id, Name, SBQQ__NetAmount__c, CurrencyIsoCode, SystemModstamp, "
        "SBQQ__Opportunity2__r.Account.Name, SBQQ__Opportunity2__r.IsWon, "
        "(SELECT SBQQ__Number__c, SBQQ__ProductName__c, SBQQ__Product__r.ProductCode, "
        "SBQQ__NetTotal__c FROM SBQQ__LineItems__r ORDER BY SBQQ__Number__c) FROM SBQQ__Quote__c"
    )

    assert quote["attributes"] == {
        "type": "SBQQ__Quote__c",
        "url": f"/services/data/v59.0/sobjects/SBQQ__Quote__c/{ids['q']}",
    }
    assert (quote["Id"], quote["SBQQ__NetAmount__c"]) == (ids["q"], 92000.0)
    assert quote["SystemModstamp"].endswith(".000+0000")
    opportunity = quote["SBQQ__Opportunity2__r"]
    assert (opportunity["Account"]["Name"], opportunity["IsWon"]) == ("Acme GmbH", True)
    lines = quote["SBQQ__LineItems__r"]
    assert (lines["totalSize"], lines["done"]) == (2, True)
    first, second = lines["records"]
    assert first["SBQQ__Product__r"] is None
    assert second["SBQQ__Product__r"]["ProductCode"] == "SC-DAY"
    assert second["SBQQ__ProductName__c"] == "Senior consultant, day"
    assert [line["SBQQ__NetTotal__c"] for line in (first, second)] == [24000.0, 68000.0]


def test_money_is_a_json_number_with_a_fraction(org: OrgUser, a_quote: Seed) -> None:
    a_quote()

    text = org.query("SELECT SBQQ__NetAmount__c, SBQQ__LineItemCount__c FROM SBQQ__Quote__c").text

    assert '"SBQQ__NetAmount__c": 92000.0' in text
    assert '"SBQQ__LineItemCount__c": 2' in text


def test_without_children_the_child_relation_is_null(simulators: Simulators, org: OrgUser) -> None:
    seed_accounts(simulators)

    [row] = org.rows("SELECT (SELECT Id FROM Opportunities) FROM Account LIMIT 1")

    assert row["Opportunities"] is None


def test_records_are_found_by_what_points_to_them(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()

    rows = org.rows(
        "SELECT Id FROM SBQQ__Quote__c WHERE Id IN "
        "(SELECT SBQQ__Quote__c FROM SBQQ__QuoteLine__c WHERE SBQQ__NetTotal__c > 60000)"
    )

    assert [row["Id"] for row in rows] == [ids["q"]]


def test_ids_of_15_characters_find_the_same_record(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()

    rows = org.rows(f"SELECT Id FROM SBQQ__Quote__c WHERE Id = '{ids['q'][:15]}'")

    assert [row["Id"] for row in rows] == [ids["q"]]


def test_count_gives_a_number_and_no_rows(simulators: Simulators, org: OrgUser) -> None:
    seed_accounts(simulators)

    assert org.query("SELECT COUNT() FROM Account").json() == {
        "totalSize": 4, "done": True, "records": [],
    }  # fmt: skip


def test_pages_are_followed_to_the_end(simulators: Simulators, org: OrgUser) -> None:
    seed_accounts(simulators)
    simulators.salesforce.turn(page_size=3)

    first = org.query("SELECT Name FROM Account ORDER BY Name").json()
    second = org.http.get(first["nextRecordsUrl"]).json()

    assert (first["totalSize"], first["done"], len(first["records"])) == (4, False, 3)
    assert (second["totalSize"], second["done"]) == (4, True)
    assert "nextRecordsUrl" not in second
    assert [row["Name"] for row in second["records"]] == ["O'Hara"]


def test_lines_of_a_long_quote_come_in_pages_too(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    a_quote()
    simulators.salesforce.turn(child_page_size=1)

    [quote] = org.rows("SELECT (SELECT Id FROM SBQQ__LineItems__r) FROM SBQQ__Quote__c")
    rest = org.http.get(quote["SBQQ__LineItems__r"]["nextRecordsUrl"]).json()

    assert quote["SBQQ__LineItems__r"]["done"] is False
    assert (len(rest["records"]), rest["done"]) == (1, True)


def test_a_lost_cursor_is_told(org: OrgUser) -> None:
    refused = org.http.get("/services/data/v59.0/query/01g000000000000AAA-2000")

    assert refused.status_code == 400
    assert refused.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nothing__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Nothing__c = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Nothing__c", "INVALID_FIELD"),
        ("SELECT Nobody__r.Name FROM Account", "INVALID_FIELD"),
        ("SELECT SBQQ__Account__c.Name FROM SBQQ__Quote__c", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE"),
        ("SELECT (SELECT Id FROM Nothing__r) FROM Account", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-07-31'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp > 2026-07-31", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE Amount > '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE IsWon > TRUE", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE Id = 'acme'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id, Id FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FORM Account", "MALFORMED_QUERY"),
    ],
)
def test_a_wrong_query_is_refused_with_its_code(org: OrgUser, soql: str, code: str) -> None:
    refused = org.query(soql)

    assert refused.status_code == 400
    [error] = refused.json()
    assert error["errorCode"] == code
    assert "ERROR at Row:1:Column:" in error["message"]


def test_a_client_may_ask_for_smaller_pages_of_at_least_200(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.seed(
        {"attributes": {"type": "Account"}, "Name": f"A{number:03}"} for number in range(250)
    )

    page = org.query("SELECT Id FROM Account", **{"Sforce-Query-Options": "batchSize=1"}).json()

    assert (len(page["records"]), page["done"]) == (200, False)


def test_what_the_documents_leave_open_can_be_switched(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote(SBQQ__SubscriptionTerm__c=6)
    simulators.salesforce.turn(id_length=15, datetime_offset="Z", whole_numbers_with_fraction=True)

    reply = org.query("SELECT Id, SystemModstamp, SBQQ__SubscriptionTerm__c FROM SBQQ__Quote__c")

    [row] = reply.json()["records"]
    assert row["Id"] == ids["q"][:15]
    assert row["SystemModstamp"].endswith(".000Z")
    assert '"SBQQ__SubscriptionTerm__c": 6.0' in reply.text
