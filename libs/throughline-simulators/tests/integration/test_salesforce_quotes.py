import time
from collections.abc import Callable, Mapping

from throughline_simulators.testing import OrgUser, Simulators

Seed = Callable[..., Mapping[str, str]]


def net_amount(org: OrgUser, quote_id: str) -> float:
    quote = org.call("GET", f"SBQQ__Quote__c/{quote_id}?fields=SBQQ__NetAmount__c").json()
    amount: float = quote["SBQQ__NetAmount__c"]
    return amount


def test_the_total_is_the_sum_of_the_lines(org: OrgUser, a_quote: Seed) -> None:
    quote = org.call("GET", f"SBQQ__Quote__c/{a_quote()['q']}").json()

    assert quote["SBQQ__NetAmount__c"] == 92000
    assert quote["SBQQ__ListAmount__c"] == 96000
    assert quote["SBQQ__LineItemCount__c"] == 2
    assert quote["Name"].startswith("Q-")


def test_optional_lines_have_an_amount_that_is_not_in_the_total(
    org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote()
    line = {
        "SBQQ__Quote__c": ids["q"],
        "SBQQ__Quantity__c": 5,
        "SBQQ__ListPrice__c": 1400,
        "SBQQ__Optional__c": True,
    }

    created = org.call("POST", "SBQQ__QuoteLine__c", line).json()

    assert net_amount(org, ids["q"]) == 92000
    read = org.call("GET", f"SBQQ__QuoteLine__c/{created['id']}").json()
    assert read["SBQQ__NetTotal__c"] == 7000


def test_bundled_lines_are_zero(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()

    org.call("PATCH", f"SBQQ__QuoteLine__c/{ids['q/1']}", {"SBQQ__Bundled__c": True})

    line = org.call("GET", f"SBQQ__QuoteLine__c/{ids['q/1']}").json()
    assert (line["SBQQ__NetPrice__c"], line["SBQQ__NetTotal__c"]) == (0, 0)
    assert net_amount(org, ids["q"]) == 68000


def test_lines_are_totalled_by_group(org: OrgUser, a_quote: Seed) -> None:
    ids = a_quote()
    group = org.call(
        "POST", "SBQQ__QuoteLineGroup__c", {"Name": "Phase 1", "SBQQ__Quote__c": ids["q"]}
    ).json()["id"]

    org.call("PATCH", f"SBQQ__QuoteLine__c/{ids['q/1']}", {"SBQQ__Group__c": group})

    read = org.call("GET", f"SBQQ__QuoteLineGroup__c/{group}").json()
    assert (read["Name"], read["SBQQ__NetTotal__c"]) == ("Phase 1", 24000)


def test_after_an_edit_the_total_is_too_low_but_not_zero_for_some_reads(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote()
    simulators.salesforce.turn(recalculation_reads=3)

    org.call("PATCH", f"SBQQ__QuoteLine__c/{ids['q/2']}", {"SBQQ__Quantity__c": 60})

    seen = [net_amount(org, ids["q"]) for _ in range(5)]
    assert seen == [24000, 24000, 24000, 105600, 105600]


def test_the_lines_are_right_while_the_total_is_not(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote()
    simulators.salesforce.turn(recalculation_reads=1)
    simulators.salesforce.recalculate(ids["q"])

    [quote] = org.rows(
        "SELECT SBQQ__NetAmount__c, (SELECT SBQQ__NetTotal__c FROM SBQQ__LineItems__r) "
        "FROM SBQQ__Quote__c"
    )

    lines = quote["SBQQ__LineItems__r"]["records"]
    assert quote["SBQQ__NetAmount__c"] == 24000
    assert sum(line["SBQQ__NetTotal__c"] for line in lines) == 92000


def test_a_query_that_does_not_show_the_total_is_no_read_of_it(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote()
    simulators.salesforce.turn(recalculation_reads=1)
    simulators.salesforce.recalculate(ids["q"])

    org.rows("SELECT Id FROM SBQQ__Quote__c")

    assert [net_amount(org, ids["q"]) for _ in range(2)] == [24000, 92000]


def test_a_recalculation_can_end_by_time_and_then_moves_the_stamp(
    simulators: Simulators, org: OrgUser, a_quote: Seed
) -> None:
    ids = a_quote(SystemModstamp="2026-07-31T09:14:03Z")
    simulators.salesforce.turn(recalculation_seconds=0.3)
    simulators.salesforce.recalculate(ids["q"])
    assert net_amount(org, ids["q"]) == 24000
    started = org.rows("SELECT SystemModstamp FROM SBQQ__Quote__c")[0]["SystemModstamp"]

    time.sleep(1.1)

    assert net_amount(org, ids["q"]) == 92000
    assert org.rows("SELECT SystemModstamp FROM SBQQ__Quote__c")[0]["SystemModstamp"] > started


def test_one_opportunity_has_many_quotes_and_one_primary(org: OrgUser, a_quote: Seed) -> None:
    first = a_quote("first", SBQQ__Primary__c=True)["first"]
    second = a_quote("second", SBQQ__Primary__c=True)["second"]

    primaries = org.rows("SELECT Id FROM SBQQ__Quote__c WHERE SBQQ__Primary__c = TRUE")
    [deal] = org.rows("SELECT SBQQ__PrimaryQuote__c, Amount FROM Opportunity")
    assert [row["Id"] for row in primaries] == [second] != [first]
    assert deal["SBQQ__PrimaryQuote__c"] == second
    assert deal["Amount"] is None


def test_details_take_the_currency_of_their_quote(org: OrgUser, a_quote: Seed) -> None:
    a_quote(CurrencyIsoCode="JPY")

    rows = org.rows("SELECT CurrencyIsoCode FROM SBQQ__QuoteLine__c")

    assert {row["CurrencyIsoCode"] for row in rows} == {"JPY"}
