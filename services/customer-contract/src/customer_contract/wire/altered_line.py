"""Messages of what a change order makes of one line."""

from typing import Final

from customer_contract.domain.change_order_content import AlteredLine, LimitMove
from customer_contract.domain.values import ContractLineId
from customer_contract.wire.line_terms import (
    PERCENT_PLACES,
    read_expense_policy,
    read_milestones,
    read_multipliers,
    read_rates,
    read_retainer,
    read_usage,
    write_expense_policy,
    write_milestones,
    write_multipliers,
    write_rates,
    write_retainer,
    write_usage,
)
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    read_optional_date,
    read_optional_decimal,
    read_optional_money,
    read_uuid,
    write_date,
    write_decimal,
    write_optional_money,
)

_QUANTITY_PLACES: Final = 4


def read_altered(field: str, message: pb.AlteredLine) -> AlteredLine:
    """Return what the line is to say; `field` is its path in the request."""
    return AlteredLine(
        contract_line_id=ContractLineId(
            read_uuid(f"{field}.contract_line_id", message.contract_line_id)
        ),
        description=message.description or None,
        quantity=read_optional_decimal(
            f"{field}.quantity", message.quantity, places=_QUANTITY_PLACES
        ),
        unit_price=read_optional_money(
            f"{field}.unit_price", message.unit_price, places=RATE_PLACES
        ),
        net_total=read_optional_money(f"{field}.net_total", message.net_total),
        rates=(
            read_rates(f"{field}.rates.rates", message.rates.rates)
            if message.HasField("rates")
            else None
        ),
        milestones=read_milestones(f"{field}.milestones", message.milestones),
        limit=(
            LimitMove(
                read_optional_money(f"{field}.limit.not_to_exceed", message.limit.not_to_exceed)
            )
            if message.HasField("limit")
            else None
        ),
        start_on=read_optional_date(f"{field}.start_on", message.start_on),
        end_on=read_optional_date(f"{field}.end_on", message.end_on),
        cost_budget=read_optional_money(f"{field}.cost_budget", message.cost_budget),
        retainer=(
            read_retainer(f"{field}.retainer", message.retainer)
            if message.HasField("retainer")
            else None
        ),
        usage=read_usage(f"{field}.usage", message.usage) if message.HasField("usage") else None,
        expense_policy=(
            read_expense_policy(f"{field}.expense_policy", message.expense_policy)
            if message.HasField("expense_policy")
            else None
        ),
        markup_percent=read_optional_decimal(
            f"{field}.markup_percent", message.markup_percent, places=PERCENT_PLACES
        ),
        multipliers=(
            read_multipliers(f"{field}.multipliers.multipliers", message.multipliers.multipliers)
            if message.HasField("multipliers")
            else None
        ),
    )


def write_altered(line: AlteredLine) -> pb.AlteredLine:
    return pb.AlteredLine(
        contract_line_id=str(line.contract_line_id),
        description=line.description,
        quantity=None if line.quantity is None else write_decimal(line.quantity),
        unit_price=write_optional_money(line.unit_price),
        net_total=write_optional_money(line.net_total),
        rates=None if line.rates is None else pb.LineRates(rates=write_rates(line.rates)),
        milestones=write_milestones(line.milestones),
        limit=(
            None
            if line.limit is None
            else pb.LimitMove(not_to_exceed=write_optional_money(line.limit.limit))
        ),
        start_on=write_date(line.start_on) or None,
        end_on=write_date(line.end_on) or None,
        cost_budget=write_optional_money(line.cost_budget),
        retainer=None if line.retainer is None else write_retainer(line.retainer),
        usage=None if line.usage is None else write_usage(line.usage),
        expense_policy=(
            None if line.expense_policy is None else write_expense_policy(line.expense_policy)
        ),
        markup_percent=(
            None if line.markup_percent is None else write_decimal(line.markup_percent)
        ),
        multipliers=(
            None
            if line.multipliers is None
            else pb.Multipliers(multipliers=write_multipliers(line.multipliers))
        ),
    )
