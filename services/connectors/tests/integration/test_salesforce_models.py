"""Quotes of every billing model: what an org says in its own fields arrives as our terms."""

from collections.abc import Mapping
from typing import Any

import pytest
from connectors_world import MAPPING, World

from connectors import schedules
from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.domain import MappingInvalid
from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.v1 import quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as quotes_pb
from throughline_simulators.salesforce import deal

VIENNA = "01980000-0000-7000-8000-0000000000e3"
OWN_FIELDS = {**deal.MAPPING, "legal_entities": {"AT01": VIENNA}}
ACCOUNT = {
    "attributes": {"type": "Account", "referenceId": "account"},
    "Name": "Nordlicht Werke GmbH",
    "CurrencyIsoCode": "EUR",
    "BillingStreet": "Hafenstrasse 12",
    "BillingCity": "Hamburg",
    "BillingPostalCode": "20457",
    "BillingCountry": "DE",
}


async def bring_in(
    world: World,
    *,
    line: int | None = None,
    change: Mapping[str, Any] | None = None,
    mapping: Mapping[str, Any] | None = None,
    **quote: Any,
) -> list[quotes_pb.QuoteLineTerms]:
    """Seed the quote, with a line of it changed, sync, and return the lines that were offered."""
    offer: Any = deal.every_model("@account", delivering_entity="AT01", region="emea", **quote)
    if line is not None:
        offer["SBQQ__LineItems__r"]["records"][line].update(change or {})
    world.simulators.salesforce.seed([ACCOUNT, offer], fields=deal.QUOTE_LINE_FIELDS)
    await world.connect_salesforce(mapping={**OWN_FIELDS, **(mapping or {})})
    await world.sync()
    return [line for sent in world.owners.quotes for line in sent.terms.lines]


async def test_milestones_keep_their_agreed_amounts_and_days(world: World) -> None:
    fixed, *_ = await bring_in(world)

    assert [(one.key, one.name, one.amount.amount, one.due_on) for one in fixed.milestones] == [
        ("kickoff", "Kick-off", "9600", "2026-10-01"),
        ("go_live", "Go-live", "14400", "2027-01-15"),
    ]
    assert {one.share_percent for one in fixed.milestones} == {""}


async def test_a_line_is_delivered_by_the_company_and_in_the_region_it_names(world: World) -> None:
    fixed, hours, *_ = await bring_in(world)

    assert (hours.delivering_legal_entity_id, hours.region) == (VIENNA, "emea")
    assert not fixed.HasField("delivering_legal_entity_id")
    assert fixed.region == ""


async def test_a_retainer_has_its_block_its_rest_and_its_excess(world: World) -> None:
    retainer = (await bring_in(world))[2]

    assert (retainer.quantity, retainer.unit_price.amount) == ("12", "5000")
    assert retainer.retainer == quote_pb2.RetainerTerms(
        period_months=1,
        hours="30",
        roll_over=quote_pb2.RETAINER_ROLL_OVER_CARRY,
        roll_over_limit_percent="50",
        overage=quote_pb2.RETAINER_OVERAGE_BILL,
        overage_rate=Money(amount="190", currency="EUR"),
    )
    # Its period is the retainer's own, not one of a recurring line.
    assert retainer.period_months == 0


async def test_a_retainer_that_says_no_more_lapses_and_waits(world: World) -> None:
    change = {"TL_Roll_Over_Percent__c": None, "TL_Overage_Rate__c": None}
    retainer = (await bring_in(world, line=2, change=change))[2].retainer

    assert retainer.roll_over == quote_pb2.RETAINER_ROLL_OVER_NONE
    assert retainer.overage == quote_pb2.RETAINER_OVERAGE_HOLD
    assert not retainer.HasField("overage_rate")


async def test_a_recurring_line_counts_its_own_periods(world: World) -> None:
    quarterly = (await bring_in(world))[3]

    assert (quarterly.period_months, quarterly.quantity) == (3, "4")
    assert quarterly.unit_price.amount == "7500"
    assert quarterly.net_total.amount == "30000"


async def test_without_a_field_of_its_own_the_billing_frequency_says_the_period(
    world: World,
) -> None:
    change = {"TL_Period_Months__c": None, "SBQQ__BillingFrequency__c": "Semiannual"}
    recurring = (await bring_in(world, line=3, change=change))[3]

    assert (recurring.period_months, recurring.quantity) == (6, "2")


async def test_metered_units_have_their_tiers_and_what_is_included(world: World) -> None:
    metered = (await bring_in(world, mapping={"aggregations": {"managed_devices": "max"}}))[4]

    assert (metered.quantity, metered.net_total.amount) == ("11600", "11600")
    usage = metered.usage
    assert (usage.meter, usage.period_months, usage.included_quantity) == (
        "managed_devices",
        1,
        "100",
    )
    assert usage.aggregation == quote_pb2.USAGE_AGGREGATION_MAX
    assert [(tier.up_to, tier.unit_price.amount) for tier in usage.tiers] == [
        ("1000", "1.2"),
        ("", "0.9"),
    ]


async def test_an_offer_ends_on_the_day_it_expires_there(world: World) -> None:
    await bring_in(world, SBQQ__ExpirationDate__c="2026-12-31")

    assert [offer.terms.valid_until for offer in world.owners.quotes] == ["2026-12-31"]


async def test_an_offer_without_such_a_day_does_not_expire(world: World) -> None:
    await bring_in(world)

    [offer] = world.owners.quotes
    assert not offer.terms.HasField("valid_until")


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (0, {"TL_Milestones__c": "kickoff | Kick-off"}, "milestone we cannot read"),
        (0, {"TL_Milestones__c": "kickoff | Kick-off | 9,600.00"}, "milestone we cannot read"),
        (0, {"TL_Milestones__c": "kickoff | Kick-off | NaN"}, "milestone we cannot read"),
        (0, {"TL_Milestones__c": "kickoff | Kick-off | 1 | 1.2.2027"}, "due on no day"),
        (1, {"TL_Delivering_Entity__c": "XX99"}, "a company we do not know (XX99)"),
        (3, {"TL_Period_Months__c": 5}, "has a term of 12 months"),
        (3, {"TL_Period_Months__c": 24}, "periods of 24 months"),
        (
            3,
            {"TL_Period_Months__c": None, "SBQQ__BillingFrequency__c": "Invoice Plan"},
            "billed Invoice Plan",
        ),
        (4, {"TL_Price_Tiers__c": "1000: 1.20"}, "price tier we cannot read"),
    ],
)
async def test_what_an_own_field_cannot_mean_is_refused_with_the_line_and_the_form(
    world: World, line: int, change: Mapping[str, Any], said: str
) -> None:
    await bring_in(world, line=line, change=change)

    assert not world.owners.quotes
    reason = (await world.exceptions())[schedules.IMPORT_REFUSED]
    assert said in reason
    assert "a0r" in reason


@pytest.mark.parametrize(
    "mapping",
    [
        {"aggregations": {"managed_devices": "average"}},
        {"aggregations": "max"},
        {"milestones_field": "Milestones"},
        {"meter_field": 7},
    ],
)
def test_a_mapping_that_would_not_work_is_refused(mapping: Mapping[str, Any]) -> None:
    with pytest.raises(MappingInvalid):
        SalesforceMapping.read({**MAPPING, **mapping})
