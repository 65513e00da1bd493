"""Messages of how a contract is paid: purchase orders, payers, holdback."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.contract_terms import (
    Holdback,
    PayerShare,
    PurchaseOrder,
    ReratingPolicy,
)
from customer_contract.domain.values import ContractLineId, CustomerId
from customer_contract.wire.line_terms import PERCENT_PLACES
from throughline.customer_contract.v1 import contract_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_optional_date,
    read_optional_money,
    read_uuid,
    write_date,
    write_decimal,
    write_optional_money,
)

RERATING_POLICY: Final = EnumMap(pb.ReratingPolicy, ReratingPolicy)


def read_purchase_orders(
    field: str, messages: Iterable[pb.PurchaseOrder]
) -> tuple[PurchaseOrder, ...]:
    """Return the orders; `field` is their path in the request."""
    return tuple(
        PurchaseOrder(
            number=message.number,
            valid_from=read_date(f"{field}[{index}].valid_from", message.valid_from),
            valid_to=read_optional_date(f"{field}[{index}].valid_to", message.valid_to),
            amount=read_optional_money(f"{field}[{index}].amount", message.amount),
            contract_line_ids=tuple(
                ContractLineId(read_uuid(f"{field}[{index}].contract_line_ids", line_id))
                for line_id in message.contract_line_ids
            ),
        )
        for index, message in enumerate(messages)
    )


def write_purchase_order(order: PurchaseOrder) -> pb.PurchaseOrder:
    return pb.PurchaseOrder(
        number=order.number,
        valid_from=write_date(order.valid_from),
        valid_to=write_date(order.valid_to) or None,
        amount=write_optional_money(order.amount),
        contract_line_ids=map(str, order.contract_line_ids),
    )


def read_payers(field: str, messages: Iterable[pb.PayerShare]) -> tuple[PayerShare, ...]:
    """Return the payers; `field` is their path in the request."""
    return tuple(
        PayerShare(
            customer_id=CustomerId(read_uuid(f"{field}[{index}].customer_id", message.customer_id)),
            share_percent=read_decimal(
                f"{field}[{index}].share_percent", message.share_percent, places=PERCENT_PLACES
            ),
            is_rounding_payer=message.rounding_payer,
            not_to_exceed=read_optional_money(
                f"{field}[{index}].not_to_exceed", message.not_to_exceed
            ),
            purchase_order_number=message.purchase_order_number,
            amount=read_optional_money(f"{field}[{index}].amount", message.amount),
        )
        for index, message in enumerate(messages)
    )


def write_payer(payer: PayerShare) -> pb.PayerShare:
    return pb.PayerShare(
        customer_id=str(payer.customer_id),
        share_percent=write_decimal(payer.share_percent),
        rounding_payer=payer.is_rounding_payer,
        not_to_exceed=write_optional_money(payer.not_to_exceed),
        purchase_order_number=payer.purchase_order_number,
        amount=write_optional_money(payer.amount),
    )


def read_holdback(field: str, message: pb.Holdback) -> Holdback:
    return Holdback(
        percent=read_decimal(f"{field}.percent", message.percent, places=PERCENT_PLACES),
        due_on=read_optional_date(f"{field}.due_on", message.due_on),
    )


def write_holdback(holdback: Holdback) -> pb.Holdback:
    return pb.Holdback(
        percent=write_decimal(holdback.percent), due_on=write_date(holdback.due_on) or None
    )
