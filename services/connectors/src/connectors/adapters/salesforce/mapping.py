"""Salesforce's quotes and accounts as our messages. Pure: records in, messages out.

What an org calls its products, roles and own fields is the connection's mapping; nothing here
knows a customer's name.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from connectors.adapters.salesforce.model_terms import ModelTerms
from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.adapters.salesforce.records import Record, read_stamp, write_stamp
from connectors.adapters.salesforce.refusals import QuoteUnreadable, unreadable
from throughline.common.v1 import address_pb2, money_pb2, source_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as customers_pb
from throughline.customer_contract.v1 import quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as quotes_pb
from throughline_core.period import add_months
from throughline_runtime.fields import write_decimal

QUOTE: Final = "SBQQ__Quote__c"
QUOTE_LINE: Final = "SBQQ__QuoteLine__c"
ACCOUNT: Final = "Account"

_NET_DAYS: Final = re.compile(r"net\s*(\d{1,3})", re.IGNORECASE)


def is_calculated(quote: Record, lines: Sequence[Record]) -> bool:
    """Whether CPQ has finished its sums: the quote's net amount is that of its lines.

    While it recalculates it shows a total that is too low; such a quote is read again later.
    """
    total = sum((Decimal(line["SBQQ__NetTotal__c"] or 0) for line in sold(lines)), Decimal(0))
    return bool(lines) and Decimal(quote["SBQQ__NetAmount__c"] or 0) == total


def never_added_up(quote: Record) -> QuoteUnreadable:
    """Return the refusal of a quote whose lines do not sum to its net amount for long."""
    return unreadable(
        quote,
        "has a net amount that is not the sum of its lines",
        "recalculate it there, and look for a discount on the quote as a whole",
    )


def sold(lines: Sequence[Record]) -> list[Record]:
    """Return the lines that are part of the deal: optional ones are not."""
    return [line for line in lines if not line["SBQQ__Optional__c"]]


def read_customer(
    quote: Record, mapping: SalesforceMapping, system: str
) -> customers_pb.CreateCustomerRequest:
    """Return the account of a quote as the customer it becomes; the request id is added later.

    Raises:
        QuoteUnreadable: the account has no usable address.
    """
    account = quote["SBQQ__Account__r"]
    if account is None:
        raise unreadable(quote, "has no account", "set its account")
    country = str(account["BillingCountry"] or "")
    street = [line for line in str(account["BillingStreet"] or "").splitlines() if line.strip()]
    if not re.fullmatch("[A-Z]{2}", country) or not street or not account["BillingCity"]:
        raise unreadable(
            quote,
            f"is for {account['Id']}, whose billing address is incomplete",
            "give street, city and the two-letter country code in the account",
        )
    return customers_pb.CreateCustomerRequest(
        name=account["Name"],
        address=address_pb2.PostalAddress(
            lines=street[:3],
            city=account["BillingCity"],
            postal_code=account["BillingPostalCode"] or "",
            region=account["BillingState"] or "",
            country=country,
        ),
        tax_id=_text(account, mapping.tax_id_field) or None,
        payment_terms_days=_payment_days(quote, mapping),
        currency=account["CurrencyIsoCode"] or quote["CurrencyIsoCode"],
        billing_email=_text(account, mapping.billing_email_field),
        source=source_ref(system, ACCOUNT, account["Id"], version=read_stamp(account)),
    )


def read_terms(
    quote: Record,
    lines: Sequence[Record],
    mapping: SalesforceMapping,
    *,
    system: str,
    customer_id: str,
    legal_entity_id: str,
) -> quotes_pb.QuoteTerms:
    """Return the offer a quote makes.

    Raises:
        QuoteUnreadable: it has no term, or a line that cannot be carried.
    """
    start_on, end_on = _term(quote)
    heads = [line for line in sold(lines) if not _is_part(line, lines, mapping)]
    return quotes_pb.QuoteTerms(
        customer_id=customer_id,
        legal_entity_id=legal_entity_id,
        currency=quote["CurrencyIsoCode"],
        start_on=start_on.isoformat(),
        end_on=end_on.isoformat(),
        payment_terms_days=_payment_days(quote, mapping),
        purchase_order_number=_text(quote, mapping.purchase_order_field),
        lines=[_read_line(quote, head, lines, mapping, system) for head in heads],
        valid_until=quote["SBQQ__ExpirationDate__c"] or None,
    )


def read_seller(quote: Record, mapping: SalesforceMapping, default: UUID | None) -> str:
    """Return the legal entity that sells: the one the quote names, else the connection's.

    Raises:
        QuoteUnreadable: neither says which.
    """
    name = _text(quote, mapping.legal_entity_field)
    seller = mapping.legal_entities.get(name) if name else default
    if seller is None:
        raise unreadable(
            quote,
            f"names no selling company we know ({name or 'none'})",
            "set it there, or add it to legal_entities in the connection's mapping",
        )
    return str(seller)


def source_ref(
    system: str, object_type: str, object_id: str, *, version: datetime | None = None
) -> source_pb2.SourceRef:
    """Return the crosswalk key of a record; `version` is when it last changed there."""
    return source_pb2.SourceRef(
        system=system,
        object_type=object_type,
        object_id=object_id,
        object_version="" if version is None else write_stamp(version),
    )


def _is_part(line: Record, lines: Sequence[Record], mapping: SalesforceMapping) -> bool:
    """Whether a line only says what a bundle consists of: a role's hours, or a part at no price."""
    parent = line["SBQQ__RequiredBy__c"]
    if parent is None or all(other["Id"] != parent for other in lines):
        return False
    return line["SBQQ__ProductCode__c"] in mapping.roles or bool(line["SBQQ__Bundled__c"])


def _read_line(
    quote: Record,
    line: Record,
    lines: Sequence[Record],
    mapping: SalesforceMapping,
    system: str,
) -> quotes_pb.QuoteLineTerms:
    currency = quote["CurrencyIsoCode"]
    parts = [part for part in sold(lines) if part["SBQQ__RequiredBy__c"] == line["Id"]]
    roles = [part for part in parts if part["SBQQ__ProductCode__c"] in mapping.roles]
    total = Decimal(line["SBQQ__NetTotal__c"] or 0) + sum(
        (Decimal(part["SBQQ__NetTotal__c"] or 0) for part in roles), Decimal(0)
    )
    terms = ModelTerms(quote, line, mapping)
    retainer, usage = terms.retainer, terms.usage
    # The hours of a bundle are its price, except where they only say what a retainer's are worth.
    is_bundle = bool(roles) and retainer is None
    quantity, unit_price = _quantity(quote, line, terms, total, is_bundle=is_bundle)
    code = str(line["SBQQ__ProductCode__c"] or "")
    is_recurring = bool(line["SBQQ__SubscriptionType__c"]) and not (roles or retainer or usage)
    return quotes_pb.QuoteLineTerms(
        service_code=mapping.products.get(code, code),
        description=str(line["SBQQ__Description__c"] or line["SBQQ__ProductName__c"] or "")[:200],
        quantity=write_decimal(quantity),
        unit_price=_money(unit_price, currency),
        net_total=_money(total, currency),
        discount_percent=write_decimal(Decimal(line["SBQQ__TotalDiscountRate__c"] or 0)),
        start_on=line["SBQQ__StartDate__c"] or None,
        end_on=_day_after(line["SBQQ__EndDate__c"]),
        rates=[
            quote_pb2.LineRate(
                role=mapping.roles[part["SBQQ__ProductCode__c"]],
                hourly_rate=_money(Decimal(part["SBQQ__NetPrice__c"]), currency),
                planned_hours=write_decimal(Decimal(part["SBQQ__Quantity__c"])),
            )
            for part in roles
        ],
        not_to_exceed=terms.not_to_exceed,
        milestones=terms.milestones,
        period_months=terms.period_months if is_recurring else 0,
        retainer=retainer,
        usage=usage,
        delivering_legal_entity_id=terms.delivering_entity_id,
        region=terms.region,
        source=source_ref(system, QUOTE_LINE, line["Id"]),
    )


def _quantity(
    quote: Record, line: Record, terms: ModelTerms, total: Decimal, *, is_bundle: bool
) -> tuple[Decimal, Decimal]:
    """Return quantity and unit price: a bundle of hours is one, a subscription counts periods.

    CPQ prices a subscription over its whole term; we bill by the period, so the price of one must
    come out exactly.
    """
    if is_bundle:
        return Decimal(1), total
    if not line["SBQQ__SubscriptionType__c"]:
        return Decimal(line["SBQQ__Quantity__c"]), Decimal(line["SBQQ__NetPrice__c"])
    months = int(quote["SBQQ__SubscriptionTerm__c"] or 0)
    if months <= 0:
        raise unreadable(
            quote,
            f"has a subscription, line {line['Id']}, and no term in months",
            "set the subscription term",
        )
    periods, rest = divmod(months, terms.period_months)
    if rest:
        raise unreadable(
            quote,
            f"has a term of {months} months, line {line['Id']} has periods of "
            f"{terms.period_months}",
            "choose a term of whole periods",
        )
    price = (total / periods).quantize(Decimal("0.000001"))
    if price * periods != total:
        raise unreadable(
            quote,
            f"prices line {line['Id']} so that no period has an exact price",
            "choose a net total that divides by the periods of the term",
        )
    return Decimal(periods), price


def _term(quote: Record) -> tuple[date, date]:
    start = quote["SBQQ__StartDate__c"]
    if not start:
        raise unreadable(quote, "has no start date", "set its start date")
    start_on = date.fromisoformat(start)
    end = _day_after(quote["SBQQ__EndDate__c"])
    if end is not None:
        return start_on, date.fromisoformat(end)
    months = int(quote["SBQQ__SubscriptionTerm__c"] or 0)
    if months <= 0:
        raise unreadable(quote, "has neither an end date nor a term", "set one of them")
    return start_on, add_months(start_on, months, anchor_day=start_on.day)


def _day_after(last_day: str | None) -> str | None:
    """Return the first day after, as our terms say it: Salesforce names the last day."""
    if not last_day:
        return None
    return (date.fromisoformat(last_day) + timedelta(days=1)).isoformat()


def _payment_days(quote: Record, mapping: SalesforceMapping) -> int:
    match = _NET_DAYS.search(str(quote["SBQQ__PaymentTerms__c"] or ""))
    return int(match[1]) if match else mapping.payment_terms_days


def _text(record: Record, name: str) -> str:
    return str(record.get(name) or "") if name else ""


def _money(amount: Decimal, currency: str) -> money_pb2.Money:
    return money_pb2.Money(amount=write_decimal(amount), currency=currency)
