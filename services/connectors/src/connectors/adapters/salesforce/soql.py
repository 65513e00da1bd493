"""The queries that quotes are read by, with what stands beside them."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from connectors.adapters.salesforce.mapping import QUOTE
from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.adapters.salesforce.records import write_stamp

_ID: Final = re.compile("[0-9A-Za-z]{15,18}")
_QUOTE_FIELDS: Final = (
    "Id",
    "Name",
    "SystemModstamp",
    "CurrencyIsoCode",
    "SBQQ__Status__c",
    "SBQQ__StartDate__c",
    "SBQQ__EndDate__c",
    "SBQQ__ExpirationDate__c",
    "SBQQ__SubscriptionTerm__c",
    "SBQQ__PaymentTerms__c",
    "SBQQ__SalesRep__c",
    "SBQQ__NetAmount__c",
)
_ACCOUNT_FIELDS: Final = (
    "Id",
    "SystemModstamp",
    "Name",
    "CurrencyIsoCode",
    "BillingStreet",
    "BillingCity",
    "BillingState",
    "BillingPostalCode",
    "BillingCountry",
)
_LINE_FIELDS: Final = (
    "Id",
    "SBQQ__Number__c",
    "SBQQ__ProductCode__c",
    "SBQQ__ProductName__c",
    "SBQQ__Description__c",
    "SBQQ__Quantity__c",
    "SBQQ__NetPrice__c",
    "SBQQ__NetTotal__c",
    "SBQQ__TotalDiscountRate__c",
    "SBQQ__StartDate__c",
    "SBQQ__EndDate__c",
    "SBQQ__SubscriptionType__c",
    "SBQQ__BillingFrequency__c",
    "SBQQ__RequiredBy__c",
    "SBQQ__Bundled__c",
    "SBQQ__Optional__c",
)


def changed_quotes(mapping: SalesforceMapping, since: datetime | None) -> str:
    """Return the query for primary quotes in a wanted state that changed since, oldest first."""
    return _quote_query(
        mapping, "" if since is None else f" AND SystemModstamp >= {write_stamp(since)}"
    )


def quotes_by_id(mapping: SalesforceMapping, ids: Sequence[str]) -> str:
    """Return the query for those of these quotes that are primary and in a wanted state.

    Raises:
        ValueError: an id is none of Salesforce's.
    """
    if not all(_ID.fullmatch(one) for one in ids):
        raise ValueError("no id of Salesforce")
    return _quote_query(mapping, " AND Id IN ({})".format(", ".join(f"'{one}'" for one in ids)))


def _quote_query(mapping: SalesforceMapping, condition: str) -> str:
    fields = [*_QUOTE_FIELDS, *mapping.quote_fields]
    account = [*_ACCOUNT_FIELDS, *mapping.account_fields]
    lines = [*_LINE_FIELDS, *mapping.line_fields]
    selected = ", ".join(
        [
            *fields,
            *(f"SBQQ__Account__r.{name}" for name in account),
            f"(SELECT {', '.join(lines)} FROM SBQQ__LineItems__r ORDER BY SBQQ__Number__c)",
        ]
    )
    statuses = ", ".join(f"'{status}'" for status in mapping.statuses)
    return (
        f"SELECT {selected} FROM {QUOTE} WHERE SBQQ__Primary__c = true"
        f" AND SBQQ__Status__c IN ({statuses}){condition} ORDER BY SystemModstamp, Id"
    )
