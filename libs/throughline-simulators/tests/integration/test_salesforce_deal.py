from throughline_simulators.salesforce import deal
from throughline_simulators.testing import OrgUser, Simulators


def test_a_quote_of_every_model_keeps_its_sum_and_the_fields_the_org_added(
    org: OrgUser, simulators: Simulators
) -> None:
    account = {"attributes": {"type": "Account", "referenceId": "acme"}, "Name": "Acme GmbH"}
    quote = deal.every_model("@acme", delivering_entity="AT01", region="emea")
    ids = simulators.salesforce.seed([account, quote], fields=deal.QUOTE_LINE_FIELDS)

    fields = ", ".join(["SBQQ__NetTotal__c", *deal.MAPPING.values()])
    lines = org.rows(
        f"SELECT {fields} FROM SBQQ__QuoteLine__c"
        f" WHERE SBQQ__Quote__c = '{ids['every-model']}' ORDER BY SBQQ__Number__c"
    )

    read = org.call("GET", f"SBQQ__Quote__c/{ids['every-model']}").json()
    assert read["SBQQ__NetAmount__c"] == sum(line["SBQQ__NetTotal__c"] for line in lines) == 181600
    fixed, hours, retainer, quarter, metered, _ = lines
    assert fixed["TL_Milestones__c"].splitlines()[1].split(" | ")[2] == "14400.00"
    assert (hours["TL_Delivering_Entity__c"], hours["TL_Region__c"]) == ("AT01", "emea")
    assert (retainer["TL_Retainer_Hours__c"], retainer["TL_Overage_Rate__c"]) == (30, 190)
    assert quarter["TL_Period_Months__c"] == 3
    assert metered["TL_Price_Tiers__c"] == "1000 | 1.20\n | 0.90"
    assert metered["TL_Meter__c"] == "managed_devices"
