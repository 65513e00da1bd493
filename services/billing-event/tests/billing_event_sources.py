"""The story's contract with a line by usage and one by progress, and what is entered for them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from billing_event_builders import CONTRACT, a_contract, an_id

from throughline.billing_event.v1 import usage_service_pb2 as usage_pb
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline.project_provisioning.v1 import exchange_rate_service_pb2 as rate_pb
from throughline_core.money import Money
from throughline_testing.serving import a_caller

METERED = an_id("b105")
BY_PROGRESS = an_id("b106")
METERS = a_caller("integration", subject="service:meters")

MoveClock = Callable[[datetime], None]


def key() -> str:
    return str(uuid4())


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def a_sourced_contract(
    *,
    version: int = 1,
    aggregation: quote_pb2.UsageAggregation.ValueType = quote_pb2.USAGE_AGGREGATION_SUM,
    included: str = "100",
    tiers: Sequence[tuple[str, str]] = (("50", "5.00"), ("", "4.00")),
    net_total: str = "30000.00",
) -> contract_pb2.Contract:
    """Return the story's contract with 100 units included, then 50 at 5.00, the rest at 4.00."""
    contract = a_contract(version=version)
    contract.version = version
    metered = contract.lines.add(contract_line_id=str(METERED))
    metered.terms.CopyFrom(contract.lines[2].terms)
    metered.terms.quote_line_id = str(an_id("a105"))
    metered.terms.description = "Managed devices"
    metered.terms.billing_model = quote_pb2.BILLING_MODEL_USAGE
    metered.terms.anchor_day = 1
    metered.terms.usage.meter = "managed_devices"
    metered.terms.usage.period_months = 1
    metered.terms.usage.aggregation = aggregation
    metered.terms.usage.included_quantity = included
    for up_to, price in tiers:
        tier = metered.terms.usage.tiers.add(up_to=up_to)
        tier.unit_price.amount, tier.unit_price.currency = price, "EUR"
    by_progress = contract.lines.add(contract_line_id=str(BY_PROGRESS))
    by_progress.terms.CopyFrom(contract.lines[0].terms)
    by_progress.terms.quote_line_id = str(an_id("a106"))
    by_progress.terms.description = "Migration"
    del by_progress.terms.milestones[:]
    by_progress.terms.ClearField("end_on")
    by_progress.terms.fixed_fee_billing = quote_pb2.FIXED_FEE_BILLING_PERCENT_COMPLETE
    by_progress.terms.net_total.amount = net_total
    return contract


def a_sourced_version(number: int, effective_on: str, **terms: Any) -> contract_pb2.Contract:
    """Return a version of that contract in force from a day, from the beginning if none is said."""
    contract = a_sourced_contract(version=number, **terms)
    if effective_on:
        contract.version, contract.terms_effective_on = number + 2, effective_on
    return contract


def terms_altered(contract: contract_pb2.Contract, term: str) -> contracts.ContractAmended:
    """Return that a change order altered a term of the metered line."""
    event = contracts.ContractAmended(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
        change_order_number=f"CO-{contract.contract_version:06d}",
    )
    altered = contract_pb2.TERM_CHANGE_KIND_ALTERED
    event.changes.add(kind=altered, contract_line_id=str(METERED), term=term)
    return event


def a_reading(quantity: str, at: str, **different: Any) -> usage_pb.UsageReading:
    """Return a reading of the metered line at an instant, ISO 8601 in UTC."""
    fields: dict[str, Any] = {"contract_line_id": str(METERED), "contract_id": str(CONTRACT)}
    row = usage_pb.UsageReading(quantity=quantity, **(fields | different))
    row.measured_at.FromDatetime(datetime.fromisoformat(at).replace(tzinfo=UTC))
    return row


def readings(*rows: usage_pb.UsageReading) -> usage_pb.ImportUsageRecordsRequest:
    return usage_pb.ImportUsageRecordsRequest(request_id=key(), rows=rows)


def rates(*quotes: tuple[str, str, str], number: int = 1) -> projects.ExchangeRatesRecorded:
    """Return rates of the euro as recorded: currency, day, units for one euro."""
    return projects.ExchangeRatesRecorded(
        batch_id=str(an_id(f"19{number:04x}")),
        version=1,
        rates=[
            rate_pb.ExchangeRate(base="EUR", quote=quote, rate_on=day, source="ecb", rate=rate)
            for quote, day, rate in quotes
        ],
    )
