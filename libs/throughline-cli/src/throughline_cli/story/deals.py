"""The two deals as their CRM has them: a mixed one, and one whose customer needs mending."""

from typing import Any, Final

CONNECTION: Final = "salesforce"
# The Irish register has no such number; the right one is given during the story.
WRONG_TAX_ID: Final = "IE6433435E"
RIGHT_TAX_ID: Final = "IE6433435F"

FIELDS: Final = (
    {"object": "Account", "name": "VAT_Number__c"},
    {"object": "SBQQ__Quote__c", "name": "Selling_Entity__c"},
    {"object": "SBQQ__QuoteLine__c", "name": "Not_To_Exceed__c", "type": "currency"},
)


def mapping(entity_ids: dict[str, str]) -> dict[str, Any]:
    """Return what this org calls things."""
    return {
        "products": {
            "DISC": "DISCOVERY",
            "DELIVERY": "DELIVERY-TM",
            "SUPPORT": "MANAGED-SUPPORT",
            "EXP": "EXPENSES",
        },
        "roles": {
            "HOUR-SENIOR": "senior_consultant",
            "HOUR-CONSULTANT": "consultant",
            "HOUR-ANALYST": "analyst",
        },
        "not_to_exceed_field": "Not_To_Exceed__c",
        "tax_id_field": "VAT_Number__c",
        "legal_entity_field": "Selling_Entity__c",
        "legal_entities": entity_ids,
    }


def records() -> list[dict[str, Any]]:
    """Return accounts and quotes in the vendor's own shapes."""
    return [
        _account("halvorsen", "Halvorsen Werft GmbH", "EUR", "DE", "DE811569869"),
        _account("kestrel", "Kestrel Analytics DAC", "USD", "IE", WRONG_TAX_ID),
        _quote(
            "mixed",
            "halvorsen",
            "EUR",
            "DE01",
            [
                _line(1, "DISC", "Discovery and target picture", 24000),
                _line(2, "DELIVERY", "Delivery by the hour", 0, reference="hours", limit=31800),
                _hours(3, "HOUR-SENIOR", 180, 80),
                _hours(4, "HOUR-CONSULTANT", 140, 80),
                _hours(5, "HOUR-ANALYST", 110, 60),
                _line(
                    6,
                    "SUPPORT",
                    "Managed support, twelve months",
                    30000,
                    SBQQ__SubscriptionType__c="Renewable",
                ),
                _line(7, "EXP", "Travel and expenses at cost plus 5 %", 5000),
            ],
        ),
        _quote(
            "plain",
            "kestrel",
            "USD",
            "US01",
            [_line(1, "DELIVERY", "Advisory by the hour", 200, SBQQ__Quantity__c=240)],
        ),
    ]


def _account(reference: str, name: str, currency: str, country: str, tax_id: str) -> dict[str, Any]:
    streets = {"DE": ("Werftallee 21", "Hamburg", "21129"), "IE": ("8 Mill Quay", "Cork", "T12")}
    street, city, postal_code = streets[country]
    return {
        "attributes": {"type": "Account", "referenceId": reference},
        "Name": name,
        "CurrencyIsoCode": currency,
        "BillingStreet": street,
        "BillingCity": city,
        "BillingPostalCode": postal_code,
        "BillingCountry": country,
        "VAT_Number__c": tax_id,
    }


def _quote(
    reference: str, account: str, currency: str, entity: str, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "attributes": {"type": "SBQQ__Quote__c", "referenceId": reference},
        "SBQQ__Account__c": f"@{account}",
        "SBQQ__Status__c": "Approved",
        "SBQQ__Primary__c": True,
        "CurrencyIsoCode": currency,
        "SBQQ__StartDate__c": "2026-09-01",
        "SBQQ__SubscriptionTerm__c": 12,
        "SBQQ__BillingFrequency__c": "Monthly",
        "SBQQ__PaymentTerms__c": "Net 14",
        "Selling_Entity__c": entity,
        "SBQQ__LineItems__r": {"records": lines},
    }


def _line(
    number: int,
    product: str,
    text: str,
    price: int,
    *,
    reference: str | None = None,
    limit: int | None = None,
    **values: Any,
) -> dict[str, Any]:
    attributes = {"type": "SBQQ__QuoteLine__c"}
    if reference is not None:
        attributes["referenceId"] = reference
    return {
        "attributes": attributes,
        "SBQQ__Number__c": number,
        "SBQQ__ProductCode__c": product,
        "SBQQ__ProductName__c": text,
        "SBQQ__Quantity__c": 1,
        "SBQQ__ListPrice__c": price,
        "Not_To_Exceed__c": limit,
        **values,
    }


def _hours(number: int, product: str, price: int, hours: int) -> dict[str, Any]:
    return _line(
        number,
        product,
        "Hours of the delivery bundle",
        price,
        SBQQ__Quantity__c=hours,
        SBQQ__RequiredBy__c="@hours",
    )
