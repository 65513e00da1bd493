"""Salesforce's quotes and accounts as our messages. Pure: records in, messages out.

What an org calls its products, roles and own fields is the connection's mapping; nothing here
knows a customer's name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from connectors.domain import MappingInvalid
from throughline.common.v1 import address_pb2, money_pb2, source_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as customers_pb
from throughline.customer_contract.v1 import quote_pb2
from throughline.customer_contract.v1 import quote_service_pb2 as quotes_pb
from throughline_core.errors import FailedPrecondition
from throughline_core.period import add_months
from throughline_runtime.fields import write_decimal

QUOTE: Final = "SBQQ__Quote__c"
QUOTE_LINE: Final = "SBQQ__QuoteLine__c"
ACCOUNT: Final = "Account"

_QUOTE_FIELDS: Final = (
    "Id",
    "Name",
    "SystemModstamp",
    "CurrencyIsoCode",
    "SBQQ__Status__c",
    "SBQQ__StartDate__c",
    "SBQQ__EndDate__c",
    "SBQQ__SubscriptionTerm__c",
    "SBQQ__PaymentTerms__c",
    "SBQQ__SalesRep__c",
    "SBQQ__NetAmount__c",
)
_ACCOUNT_FIELDS: Final = (
    "Id",
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
_NET_DAYS: Final = re.compile(r"net\s*(\d{1,3})", re.IGNORECASE)
_STAMP: Final = "%Y-%m-%dT%H:%M:%S.%f%z"

Record = Mapping[str, Any]


class QuoteUnreadable(FailedPrecondition):
    """A quote says something we cannot carry; it stays out until somebody changes it there."""

    code = "salesforce.quote_unreadable"


@dataclass(frozen=True, slots=True)
class SalesforceMapping:
    """What one org calls things.

    `products` maps product codes to service codes, `roles` product codes to roles of a bundle's
    hours; a product in neither keeps its own code. The `*_field` names are fields the org added;
    empty where it has none. `legal_entities` maps what the org calls a selling company to its id.
    """

    products: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    statuses: Sequence[str] = ("Approved", "Accepted")
    not_to_exceed_field: str = ""
    purchase_order_field: str = ""
    tax_id_field: str = ""
    billing_email_field: str = ""
    legal_entity_field: str = ""
    legal_entities: Mapping[str, str] = field(default_factory=dict)
    payment_terms_days: int = 30

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "SalesforceMapping":
        """Return the mapping of a connection.

        Raises:
            MappingInvalid: it has other keys or values than this.
        """
        try:
            mapping = cls(**raw)
        except TypeError as error:
            raise MappingInvalid(
                f"the mapping does not fit: {error}",
                field="mapping_json",
                advice=f"its keys are {', '.join(cls.__slots__)}",
            ) from error
        mapping._require_shape()
        fields = (
            mapping.not_to_exceed_field,
            mapping.purchase_order_field,
            mapping.tax_id_field,
            mapping.billing_email_field,
            mapping.legal_entity_field,
        )
        if any(name and not re.fullmatch(r"[A-Za-z]\w*__c", name) for name in fields):
            raise MappingInvalid(
                "a field an org adds ends in __c",
                field="mapping_json",
                advice="give its API name, for example Not_To_Exceed__c",
            )
        return mapping

    def _require_shape(self) -> None:
        """Refuse values that reading a quote would stumble over, or that would change its query.

        Raises:
            MappingInvalid: one is of another type than the fields say.
        """
        maps = {name: getattr(self, name) for name in ("products", "roles", "legal_entities")}
        for name, value in maps.items():
            if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
                raise _unfit(name, "send an object whose values are texts")
        if not all(_is_uuid(value) for value in self.legal_entities.values()):
            raise _unfit("legal_entities", "its values are UUIDs of legal entities")
        statuses = self.statuses
        if isinstance(statuses, str) or not all(
            isinstance(status, str) and re.fullmatch(r"[\w .-]{1,80}", status)
            for status in statuses
        ):
            raise _unfit("statuses", "send a list of states, of letters, digits and spaces")
        if type(self.payment_terms_days) is not int or not 0 <= self.payment_terms_days <= 365:
            raise _unfit("payment_terms_days", "send 0 to 365 days")
        names = [name for name in self.__slots__ if name.endswith("_field")]
        if not all(isinstance(getattr(self, name), str) for name in names):
            raise _unfit(", ".join(names), "send the names of fields as texts")


def _unfit(name: str, advice: str) -> MappingInvalid:
    return MappingInvalid(f"{name} does not fit", field="mapping_json", advice=advice)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def quote_query(mapping: SalesforceMapping, since: datetime | None) -> str:
    """Return the query for primary quotes in a wanted state that changed since, oldest first."""
    own = [mapping.purchase_order_field, mapping.legal_entity_field]
    fields = [*_QUOTE_FIELDS, *filter(None, own)]
    account = [*_ACCOUNT_FIELDS, *filter(None, [mapping.tax_id_field, mapping.billing_email_field])]
    lines = [*_LINE_FIELDS, *filter(None, [mapping.not_to_exceed_field])]
    selected = ", ".join(
        [
            *fields,
            *(f"SBQQ__Account__r.{name}" for name in account),
            f"(SELECT {', '.join(lines)} FROM SBQQ__LineItems__r ORDER BY SBQQ__Number__c)",
        ]
    )
    statuses = ", ".join(f"'{status}'" for status in mapping.statuses)
    changed = "" if since is None else f" AND SystemModstamp >= {write_stamp(since)}"
    return (
        f"SELECT {selected} FROM {QUOTE} WHERE SBQQ__Primary__c = true"
        f" AND SBQQ__Status__c IN ({statuses}){changed} ORDER BY SystemModstamp, Id"
    )


def write_stamp(instant: datetime) -> str:
    return (
        instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{instant.microsecond:06}"[:3]
        + "Z"
    )


def read_stamp(record: Record) -> datetime:
    """Return when a record last changed there."""
    text = str(record["SystemModstamp"])
    return datetime.strptime(text.replace("Z", "+0000"), _STAMP)


def is_calculated(quote: Record, lines: Sequence[Record]) -> bool:
    """Whether CPQ has finished its sums: the quote's net amount is that of its lines.

    While it recalculates it shows a total that is too low; such a quote is read again later.
    """
    total = sum((Decimal(line["SBQQ__NetTotal__c"] or 0) for line in sold(lines)), Decimal(0))
    return bool(lines) and Decimal(quote["SBQQ__NetAmount__c"] or 0) == total


def never_added_up(quote: Record) -> QuoteUnreadable:
    """Return the refusal of a quote whose lines do not sum to its net amount for long."""
    return QuoteUnreadable(
        _about(quote, "has a net amount that is not the sum of its lines"),
        advice="recalculate it there, and look for a discount on the quote as a whole",
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
        raise QuoteUnreadable(_about(quote, "has no account"), advice="set its account")
    country = str(account["BillingCountry"] or "")
    street = [line for line in str(account["BillingStreet"] or "").splitlines() if line.strip()]
    if not re.fullmatch("[A-Z]{2}", country) or not street or not account["BillingCity"]:
        raise QuoteUnreadable(
            _about(quote, f"is for {account['Id']}, whose billing address is incomplete"),
            advice="give street, city and the two-letter country code in the account",
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
        source=source_ref(system, ACCOUNT, account["Id"]),
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
    )


def read_seller(quote: Record, mapping: SalesforceMapping, default: UUID | None) -> str:
    """Return the legal entity that sells: the one the quote names, else the connection's.

    Raises:
        QuoteUnreadable: neither says which.
    """
    name = _text(quote, mapping.legal_entity_field)
    seller = mapping.legal_entities.get(name) if name else default
    if seller is None:
        raise QuoteUnreadable(
            _about(quote, f"names no selling company we know ({name or 'none'})"),
            advice="set it there, or add it to legal_entities in the connection's mapping",
        )
    return str(seller)


def source_ref(system: str, object_type: str, object_id: str) -> source_pb2.SourceRef:
    return source_pb2.SourceRef(system=system, object_type=object_type, object_id=object_id)


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
    quantity, unit_price = _quantity(quote, line, total, has_roles=bool(roles))
    code = str(line["SBQQ__ProductCode__c"] or "")
    limit = line.get(mapping.not_to_exceed_field) if mapping.not_to_exceed_field else None
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
        not_to_exceed=None if limit is None else _money(Decimal(limit), currency),
        source=source_ref(system, QUOTE_LINE, line["Id"]),
    )


def _quantity(
    quote: Record, line: Record, total: Decimal, *, has_roles: bool
) -> tuple[Decimal, Decimal]:
    """Return quantity and unit price: a bundle of hours is one, a subscription counts months.

    CPQ prices a subscription over its whole term; we bill by the month, so the price of a month
    must come out exactly.
    """
    if has_roles:
        return Decimal(1), total
    if not line["SBQQ__SubscriptionType__c"]:
        return Decimal(line["SBQQ__Quantity__c"]), Decimal(line["SBQQ__NetPrice__c"])
    if line["SBQQ__BillingFrequency__c"] not in {"Monthly", None}:
        raise QuoteUnreadable(
            _about(quote, f"bills line {line['Id']} {line['SBQQ__BillingFrequency__c']}"),
            advice="set its billing frequency to Monthly",
        )
    months = Decimal(quote["SBQQ__SubscriptionTerm__c"] or 0)
    if months <= 0:
        raise QuoteUnreadable(
            _about(quote, f"has a subscription, line {line['Id']}, and no term in months"),
            advice="set the subscription term",
        )
    monthly = (total / months).quantize(Decimal("0.000001"))
    if monthly * months != total:
        raise QuoteUnreadable(
            _about(quote, f"prices line {line['Id']} so that no month has an exact price"),
            advice="choose a net total that divides by the months of the term",
        )
    return months, monthly


def _term(quote: Record) -> tuple[date, date]:
    start = quote["SBQQ__StartDate__c"]
    if not start:
        raise QuoteUnreadable(_about(quote, "has no start date"), advice="set its start date")
    start_on = date.fromisoformat(start)
    end = _day_after(quote["SBQQ__EndDate__c"])
    if end is not None:
        return start_on, date.fromisoformat(end)
    months = int(quote["SBQQ__SubscriptionTerm__c"] or 0)
    if months <= 0:
        raise QuoteUnreadable(
            _about(quote, "has neither an end date nor a term"), advice="set one of them"
        )
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


def _about(quote: Record, text: str) -> str:
    return f"quote {quote['Name']} {text}"
