"""The objects of the simulated org: Sales Cloud's own and those of the CPQ package."""

from collections.abc import Mapping
from typing import Final

from throughline_simulators.salesforce.schema import Field, FieldType, SObject, sobject

QUOTE: Final = "SBQQ__Quote__c"
QUOTE_LINE: Final = "SBQQ__QuoteLine__c"
QUOTE_LINE_GROUP: Final = "SBQQ__QuoteLineGroup__c"
OPPORTUNITY: Final = "Opportunity"

QUOTE_STATUSES: Final = (
    "Draft", "In Review", "Approved", "Denied", "Presented", "Accepted", "Rejected",
)  # fmt: skip
# Stage: probability in percent, forecast category; won and lost close the opportunity.
STAGES: Final[Mapping[str, tuple[int, str]]] = {
    "Prospecting": (10, "Pipeline"),
    "Qualification": (10, "Pipeline"),
    "Needs Analysis": (20, "Pipeline"),
    "Value Proposition": (50, "Pipeline"),
    "Id. Decision Makers": (60, "Pipeline"),
    "Perception Analysis": (70, "Pipeline"),
    "Proposal/Price Quote": (75, "Pipeline"),
    "Negotiation/Review": (90, "Pipeline"),
    "Closed Won": (100, "Closed"),
    "Closed Lost": (0, "Omitted"),
}
BILLING_FREQUENCIES: Final = ("Monthly", "Quarterly", "Semiannual", "Annual", "Invoice Plan")


def text(name: str, length: int = 255, *, required: bool = False) -> Field:
    return Field(name, FieldType.STRING, _label(name), length=length, required=required)


def picklist(
    name: str, options: tuple[str, ...], *, restricted: bool = False, required: bool = False
) -> Field:
    return Field(
        name, FieldType.PICKLIST, _label(name), length=255,
        options=options, restricted=restricted, required=required,
    )  # fmt: skip


def flag(name: str) -> Field:
    return Field(name, FieldType.BOOLEAN, _label(name))


def day(name: str, *, required: bool = False) -> Field:
    return Field(name, FieldType.DATE, _label(name), required=required)


def number(name: str, scale: int = 0, kind: FieldType = FieldType.DOUBLE) -> Field:
    return Field(name, kind, _label(name), precision=18, scale=scale)


def price(name: str) -> Field:
    return number(name, 2, FieldType.CURRENCY)


def calculated(name: str, kind: FieldType = FieldType.CURRENCY, scale: int = 2) -> Field:
    return Field(
        name, kind, _label(name),
        precision=18, scale=scale, createable=False, updateable=False, calculated=True,
    )  # fmt: skip


def lookup(
    name: str, target: str, *, children: str | None = None, owner: bool = False
) -> Field:  # fmt: skip
    """A reference; with `owner` the record cannot exist without its target nor change it."""
    relation = name.removesuffix("__c") + "__r" if name.endswith("__c") else name.removesuffix("Id")
    return Field(
        name, FieldType.REFERENCE, _label(name), length=18,
        required=owner, updateable=not owner,
        reference_to=target, relation=relation, children=children,
    )  # fmt: skip


def _label(name: str) -> str:
    return name.removeprefix("SBQQ__").removesuffix("__c")


def _system(name: str, kind: FieldType) -> Field:
    length = 18 if kind is FieldType.ID else 0
    return Field(name, kind, name, length=length, createable=False, updateable=False)


def _record_fields(name_field: Field) -> tuple[Field, ...]:
    return (
        _system("Id", FieldType.ID),
        name_field,
        picklist("CurrencyIsoCode", ()),
        _system("IsDeleted", FieldType.BOOLEAN),
        _system("CreatedDate", FieldType.DATETIME),
        _system("LastModifiedDate", FieldType.DATETIME),
        _system("SystemModstamp", FieldType.DATETIME),
    )


def _numbered_name() -> Field:
    return Field("Name", FieldType.STRING, "Name", length=80, createable=False, updateable=False)


_ACCOUNT: Final = sobject(
    "Account", "Account", "001",
    (
        *_record_fields(text("Name", required=True)),
        text("AccountNumber", 40), text("Type", 40), text("Industry", 40), text("Phone", 40),
        text("Website"), text("Description", 32000),
        *(text(f"{use}{part}") for use in ("Billing", "Shipping")
          for part in ("Street", "City", "State", "PostalCode", "Country")),
        lookup("ParentId", "Account", children="ChildAccounts"),
    ),
)  # fmt: skip

_OPPORTUNITY: Final = sobject(
    OPPORTUNITY, "Opportunity", "006",
    (
        *_record_fields(text("Name", 120, required=True)),
        lookup("AccountId", "Account", children="Opportunities"),
        price("Amount"), day("CloseDate", required=True),
        picklist("StageName", tuple(STAGES), restricted=True, required=True),
        calculated("IsClosed", FieldType.BOOLEAN), calculated("IsWon", FieldType.BOOLEAN),
        picklist("ForecastCategoryName", ("Omitted", "Pipeline", "Best Case", "Commit", "Closed")),
        number("Probability", 0, FieldType.PERCENT),
        text("ContractId", 18), text("Pricebook2Id", 18), text("SyncedQuoteId", 18),
        text("Type", 40), text("Description", 32000),
        lookup("SBQQ__PrimaryQuote__c", QUOTE),
    ),
)  # fmt: skip

_PRODUCT: Final = sobject(
    "Product2", "Product", "01t",
    (
        *_record_fields(text("Name", required=True)),
        text("ProductCode"), text("Description", 4000), text("Family", 40), flag("IsActive"),
        text("SBQQ__ChargeType__c"), text("SBQQ__BillingType__c"),
        text("SBQQ__SubscriptionPricing__c"), text("SBQQ__PricingMethod__c"),
    ),
)  # fmt: skip

_QUOTE: Final = sobject(
    QUOTE, "Quote", "a0q",
    (
        *_record_fields(_numbered_name()),
        picklist("SBQQ__Status__c", QUOTE_STATUSES, restricted=True),
        flag("SBQQ__Primary__c"), flag("SBQQ__Ordered__c"), flag("SBQQ__LineItemsGrouped__c"),
        lookup("SBQQ__Opportunity2__c", OPPORTUNITY, children="SBQQ__Quotes2__r"),
        lookup("SBQQ__Account__c", "Account", children="SBQQ__Quotes__r"),
        day("SBQQ__StartDate__c"), day("SBQQ__EndDate__c"), day("SBQQ__ExpirationDate__c"),
        number("SBQQ__SubscriptionTerm__c"),
        picklist("SBQQ__BillingFrequency__c", BILLING_FREQUENCIES),
        text("SBQQ__PaymentTerms__c"), text("SBQQ__Type__c"),
        text("SBQQ__PricebookId__c", 18), text("SBQQ__PriceBook__c", 18),
        text("SBQQ__PrimaryContact__c", 18), text("SBQQ__SalesRep__c", 18),
        text("SBQQ__MasterContract__c", 18),
        calculated("SBQQ__NetAmount__c"), calculated("SBQQ__ListAmount__c"),
        calculated("SBQQ__CustomerAmount__c"),
        calculated("SBQQ__LineItemCount__c", FieldType.DOUBLE, 0),
    ),
)  # fmt: skip

_QUOTE_LINE_GROUP: Final = sobject(
    QUOTE_LINE_GROUP, "Quote Line Group", "a0s",
    (
        *_record_fields(text("Name", 80)),
        lookup("SBQQ__Quote__c", QUOTE, children="SBQQ__LineItemGroups__r", owner=True),
        lookup("SBQQ__Account__c", "Account"),
        number("SBQQ__Number__c"), text("SBQQ__Description__c", 32000),
        calculated("SBQQ__NetTotal__c"),
    ),
)  # fmt: skip

_QUOTE_LINE: Final = sobject(
    QUOTE_LINE, "Quote Line", "a0r",
    (
        *_record_fields(_numbered_name()),
        lookup("SBQQ__Quote__c", QUOTE, children="SBQQ__LineItems__r", owner=True),
        lookup("SBQQ__Group__c", QUOTE_LINE_GROUP, children="SBQQ__LineItems__r"),
        lookup("SBQQ__Product__c", "Product2", children="SBQQ__QuoteLines__r"),
        lookup("SBQQ__RequiredBy__c", QUOTE_LINE),
        number("SBQQ__Number__c"), text("SBQQ__ProductName__c"), text("SBQQ__ProductCode__c"),
        text("SBQQ__Description__c", 32000),
        number("SBQQ__Quantity__c", 2), price("SBQQ__ListPrice__c"), price("SBQQ__NetPrice__c"),
        calculated("SBQQ__NetTotal__c"),
        number("SBQQ__Discount__c", 2, FieldType.PERCENT),
        price("SBQQ__AdditionalDiscountAmount__c"),
        number("SBQQ__Uplift__c", 2, FieldType.PERCENT),
        number("SBQQ__TotalDiscountRate__c", 2, FieldType.PERCENT),
        price("SBQQ__UnitCost__c"),
        day("SBQQ__StartDate__c"), day("SBQQ__EndDate__c"),
        picklist("SBQQ__BillingFrequency__c", BILLING_FREQUENCIES),
        text("SBQQ__SubscriptionType__c"), number("SBQQ__SegmentIndex__c"),
        flag("SBQQ__Bundled__c"), flag("SBQQ__Optional__c"),
    ),
)  # fmt: skip

STANDARD: Final[Mapping[str, SObject]] = {
    entity.name.lower(): entity
    for entity in (_ACCOUNT, _OPPORTUNITY, _PRODUCT, _QUOTE, _QUOTE_LINE, _QUOTE_LINE_GROUP)
}
NUMBERED_NAMES: Final[Mapping[str, tuple[str, int]]] = {QUOTE: ("Q-", 5), QUOTE_LINE: ("QL-", 7)}
