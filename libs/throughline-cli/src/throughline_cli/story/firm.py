"""The firm: two legal entities, what they sell, how they deliver it, what they charge. Invented."""

from typing import Any, Final

FIRST_DAY: Final = "2026-09-01"

ENTITIES: Final = (
    {
        "code": "DE01",
        "name": "Nordstern Beratung GmbH",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "address": {
            "lines": ["Speicherstrasse 4"],
            "city": "Hamburg",
            "postal_code": "20457",
            "region": "",
            "country": "DE",
        },
        "tax_id": "DE136695976",
        "registration": "HRB 104417, Amtsgericht Hamburg",
        "iban": "DE89370400440532013000",
        "bic": "COBADEFFXXX",
        "billing_email": "rechnung@nordstern.example",
    },
    {
        "code": "US01",
        "name": "Northstar Advisory Inc.",
        "currency": "USD",
        "time_zone": "America/New_York",
        "address": {
            "lines": ["215 Harbor Street", "Suite 900"],
            "city": "Boston",
            "postal_code": "02110",
            "region": "MA",
            "country": "US",
        },
        "registration": "Delaware C corporation 5512094",
        "iban": "GB33BUKB20201555555555",
        "bic": "BUKBGB22XXX",
        "billing_email": "billing@northstar.example",
    },
)

SERVICES: Final[dict[str, dict[str, Any]]] = {
    "DISCOVERY": {
        "name": "Discovery and target picture",
        "billing_model": "fixed_fee",
        "tax_category": "professional_services",
        "template_code": "discovery",
        "milestones": [
            {"key": "findings", "name": "Findings accepted", "share_percent": "40"},
            {"key": "target", "name": "Target picture accepted", "share_percent": "60"},
        ],
    },
    "DELIVERY-TM": {
        "name": "Delivery, time and materials",
        "billing_model": "time_and_materials",
        "tax_category": "professional_services",
        "template_code": "delivery",
    },
    "MANAGED-SUPPORT": {
        "name": "Managed support",
        "billing_model": "recurring",
        "tax_category": "professional_services",
        "template_code": "support",
        "anchor_day": 1,
        "in_advance": False,
    },
    "EXPENSES": {
        "name": "Travel and expenses at cost plus 5 %",
        "billing_model": "pass_through",
        "tax_category": "professional_services",
        "template_code": "expenses",
        "markup_percent": "5",
    },
}

TEMPLATES: Final[dict[str, dict[str, Any]]] = {
    "discovery": {
        "name": "Discovery",
        "billing_models": ["fixed_fee"],
        "phases": [
            {
                "name": "Discovery",
                "tasks": [{"key": "workshops", "name": "Workshops", "billable": False}],
            }
        ],
    },
    "delivery": {
        "name": "Delivery",
        "billing_models": ["time_and_materials"],
        "phases": [
            {
                "name": "Delivery",
                "tasks": [{"key": "implementation", "name": "Implementation", "billable": True}],
            }
        ],
    },
    "support": {
        "name": "Managed support",
        "billing_models": ["recurring"],
        "phases": [
            {
                "name": "Support",
                "tasks": [{"key": "tickets", "name": "Tickets", "billable": False}],
            }
        ],
    },
    "expenses": {"name": "Expenses", "billing_models": ["pass_through"]},
}

RATE_CARD: Final = {
    "code": "RC-US-2026",
    "name": "United States 2026",
    "currency": "USD",
    "entries": [
        {
            "role": role,
            "hourly_rate": {"amount": amount, "currency": "USD"},
            "valid_from": "2026-01-01",
        }
        for role, amount in (("senior_consultant", "220.00"), ("consultant", "175.00"))
    ],
}

TAX_RULES: Final = (
    {
        "seller_country": "DE",
        "buyer_country": "DE",
        "buyer_registration": "any",
        "tax_category": "*",
        "tax_code": "S",
        "rate_percent": "19.00",
        "exemption_reason": "",
        "valid_from": "2021-01-01",
    },
    {
        "seller_country": "DE",
        "buyer_country": "EU",
        "buyer_registration": "valid",
        "tax_category": "*",
        "tax_code": "AE",
        "rate_percent": "0",
        "exemption_reason": "Reverse charge: VAT is due from the recipient (Directive 2006/112/EC, "
        "article 196)",
        "valid_from": "2021-01-01",
    },
    {
        "seller_country": "US",
        "buyer_country": "EU",
        "buyer_registration": "valid",
        "tax_category": "*",
        "tax_code": "O",
        "rate_percent": "0",
        "exemption_reason": "Outside the scope of United States sales tax; VAT is due from the "
        "recipient",
        "valid_from": "2021-01-01",
    },
)

RELEASE_THRESHOLDS: Final = {"DE01": ("5000.00", "EUR"), "US01": ("5000.00", "USD")}

# Name, entity, role, and hours a day on the delivery task of the entity's deal.
PEOPLE: Final = (
    ("Ada Brandt", "DE01", "senior_consultant", "4.0"),
    ("Jonas Reuter", "DE01", "consultant", "4.5"),
    ("Mira Aydin", "DE01", "analyst", "3.0"),
    ("Lena Vogt", "DE01", "consultant", "0.0"),
    ("Caleb Ross", "US01", "senior_consultant", "6.0"),
    ("Ruth Okafor", "US01", "consultant", "5.5"),
)

# The group whose shared accounts department pays for one of the customers.
PARENT: Final = {
    "name": "Halvorsen Gruppe SE",
    "address": {
        "lines": ["Ballindamm 17"],
        "city": "Hamburg",
        "postal_code": "20095",
        "region": "",
        "country": "DE",
    },
    "tax_id": "DE129273398",
    "payment_terms_days": 14,
    "currency": "EUR",
    "billing_email": "kreditoren@halvorsen.example",
}
