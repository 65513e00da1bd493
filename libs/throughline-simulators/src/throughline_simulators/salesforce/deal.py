"""A deal with every way of billing, as an org describes it: own fields on its lines, and a quote.

Salesforce CPQ has no fields of its own for delivering companies, agreed milestones, retainers or
meters; orgs add them. These are added under one prefix, so that a connection's mapping can name
them; what a product means is left to its code, as in any org.
"""

from collections.abc import Mapping, Sequence
from typing import Final

QUOTE_LINE_FIELDS: Final[Sequence[Mapping[str, object]]] = tuple(
    {"object": "SBQQ__QuoteLine__c", **field}
    for field in (
        # Code of the company that delivers, and region; empty where the seller does.
        {"name": "TL_Delivering_Entity__c", "length": 8},
        {"name": "TL_Region__c", "length": 40},
        # One milestone a line: `key | name | amount | due day`.
        {"name": "TL_Milestones__c", "type": "textarea"},
        # Months of a recurring, retainer or metered period.
        {"name": "TL_Period_Months__c", "type": "double"},
        {"name": "TL_Retainer_Hours__c", "type": "double", "scale": 2},
        # Most that is carried on, in percent of a block; empty where the rest lapses.
        {"name": "TL_Roll_Over_Percent__c", "type": "percent", "scale": 4},
        # Price of an hour beyond the balance; empty where it waits until more is agreed.
        {"name": "TL_Overage_Rate__c", "type": "currency", "scale": 2},
        {"name": "TL_Meter__c", "length": 60},
        {"name": "TL_Included_Quantity__c", "type": "double", "scale": 4},
        # One tier a line: `up to | price`; the last has no upper end.
        {"name": "TL_Price_Tiers__c", "type": "textarea"},
    )
)
"""Fields to seed before the records, as `fields` of `/salesforce/seed`."""

MAPPING: Final[Mapping[str, str]] = {
    "delivering_entity_field": "TL_Delivering_Entity__c",
    "region_field": "TL_Region__c",
    "milestones_field": "TL_Milestones__c",
    "period_months_field": "TL_Period_Months__c",
    "retainer_hours_field": "TL_Retainer_Hours__c",
    "roll_over_percent_field": "TL_Roll_Over_Percent__c",
    "overage_rate_field": "TL_Overage_Rate__c",
    "meter_field": "TL_Meter__c",
    "included_quantity_field": "TL_Included_Quantity__c",
    "price_tiers_field": "TL_Price_Tiers__c",
}
"""What each field means, by the name a connection's mapping gives it."""


def every_model(
    account: str,
    *,
    reference: str = "every-model",
    delivering_entity: str = "",
    region: str = "",
    **quote: object,
) -> dict[str, object]:
    """Return an approved quote of 181,600.00 with a line of each billing model, to be seeded.

    `account` is the id or `@reference` of its account; further fields of the quote may be given.
    """
    abroad = {"TL_Delivering_Entity__c": delivering_entity, "TL_Region__c": region}
    return {
        "attributes": {"type": "SBQQ__Quote__c", "referenceId": reference},
        "SBQQ__Account__c": account,
        "SBQQ__Status__c": "Approved",
        "SBQQ__Primary__c": True,
        "CurrencyIsoCode": "EUR",
        "SBQQ__StartDate__c": "2026-09-01",
        "SBQQ__SubscriptionTerm__c": 12,
        "SBQQ__BillingFrequency__c": "Monthly",
        "SBQQ__LineItems__r": {
            "records": [
                _line(
                    1,
                    "FIXED-FEE",
                    "Rollout at a fixed fee",
                    24000,
                    TL_Milestones__c="kickoff | Kick-off | 9600.00 | 2026-10-01\n"
                    "go_live | Go-live | 14400.00 | 2027-01-15",
                ),
                _line(2, "DELIVERY", "Advisory by the hour", 140, SBQQ__Quantity__c=400, **abroad),
                _line(
                    3,
                    "RETAINER",
                    "Architect on call",
                    60000,
                    SBQQ__SubscriptionType__c="Renewable",
                    TL_Period_Months__c=1,
                    TL_Retainer_Hours__c=30,
                    TL_Roll_Over_Percent__c=50,
                    TL_Overage_Rate__c=190,
                ),
                _line(
                    4,
                    "MANAGED",
                    "Managed service, by the quarter",
                    30000,
                    SBQQ__SubscriptionType__c="Renewable",
                    TL_Period_Months__c=3,
                ),
                _line(
                    5,
                    "DEVICES",
                    "Managed devices, metered",
                    1,
                    SBQQ__Quantity__c=11600,
                    TL_Period_Months__c=1,
                    TL_Meter__c="managed_devices",
                    TL_Included_Quantity__c=100,
                    TL_Price_Tiers__c="1000 | 1.20\n | 0.90",
                ),
                _line(6, "EXPENSES", "Travel at cost", 0),
            ]
        },
        **quote,
    }


def _line(number: int, product: str, text: str, price: int, **values: object) -> dict[str, object]:
    return {
        "attributes": {"type": "SBQQ__QuoteLine__c"},
        "SBQQ__Number__c": number,
        "SBQQ__ProductCode__c": product,
        "SBQQ__ProductName__c": text,
        "SBQQ__Quantity__c": 1,
        "SBQQ__ListPrice__c": price,
        **values,
    }
