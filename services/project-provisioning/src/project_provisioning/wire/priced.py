"""What a contract says about the price of a project's lines, read for its plan."""

from collections.abc import Iterable
from uuid import UUID

from project_provisioning.domain.budget import Order
from project_provisioning.domain.project import Project
from project_provisioning.domain.revenue import PricedLine
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline_core.money import RATE_PLACES, Money
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_date,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)


def read_priced_lines(contract: contract_pb2.Contract | None, project: Project) -> list[PricedLine]:
    """Return the project's lines with the rates agreed for them, none without a contract."""
    rates = {
        read_uuid("contract_line_id", line.contract_line_id): _read_rates(line.terms.rates)
        for line in (contract.lines if contract else ())
    }
    return [
        PricedLine(
            contract_line_id=line.contract_line_id,
            billing_model=line.billing_model,
            net_total=line.net_total,
            starts_on=line.starts_on,
            ends_on=line.ends_on,
            ended_on=line.ended_on,
            rates=rates.get(line.contract_line_id, {}),
        )
        for line in project.lines
    ]


def read_orders(contract: contract_pb2.Contract | None) -> list[Order]:
    """Return the customer's purchase orders."""
    return [
        Order(
            number=order.number,
            valid_from=read_date("valid_from", order.valid_from),
            valid_to=read_optional_date("valid_to", order.valid_to),
            amount=read_optional_money("amount", order.amount),
            contract_line_ids=frozenset(
                read_uuid("contract_line_ids", each) for each in order.contract_line_ids
            ),
        )
        for order in (contract.purchase_orders if contract else ())
    ]


def _read_rates(rates: Iterable[quote_pb2.LineRate]) -> dict[tuple[str, UUID | None], Money]:
    return {
        (rate.role, read_optional_uuid("person_id", rate.person_id)): read_money(
            "hourly_rate", rate.hourly_rate, places=RATE_PLACES
        )
        for rate in rates
    }
