"""The rules of how a contract is paid: purchase orders, payers, holdback."""

from collections.abc import Collection, Sequence
from decimal import Decimal

from customer_contract.domain.contract_limit import LimitNotPositive, LineNotFound
from customer_contract.domain.contract_terms import (
    BillingProfile,
    Contract,
    Holdback,
    PayerShare,
    PurchaseOrder,
)
from customer_contract.domain.service_line import WHOLE_PERCENT
from customer_contract.domain.values import ContractLineId, require_currency
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money


class PurchaseOrderRepeated(InvalidArgument):
    """Two purchase orders of a contract have one number."""

    code = "contract.purchase_order_repeated"


class PurchaseOrderValidity(InvalidArgument):
    """The purchase order ends before it begins."""

    code = "contract.purchase_order_validity"


class PayerRepeated(InvalidArgument):
    """A customer pays two shares of a contract."""

    code = "contract.payer_repeated"


class PayerShares(InvalidArgument):
    """The payers' shares do not sum to 100 percent, or one of them is nought."""

    code = "contract.payer_shares"


class PayerAmount(InvalidArgument):
    """A payer with an amount of its own has a share or another limit as well."""

    code = "contract.payer_amount"


class RoundingPayer(InvalidArgument):
    """None of the payers, or more than one, takes the cents that cannot be shared."""

    code = "contract.rounding_payer"


class HoldbackInvalid(InvalidArgument):
    """The holdback keeps nothing, or more than there is, or falls due before the term begins."""

    code = "contract.holdback_invalid"


def check_profile(contract: Contract, billing: BillingProfile) -> None:
    """Refuse purchase orders, payers or a holdback that the contract cannot be paid by.

    Raises:
        PurchaseOrderRepeated, PurchaseOrderValidity, LineNotFound: a purchase order.
        PayerRepeated, PayerShares, PayerAmount, RoundingPayer: the payers.
        HoldbackInvalid: the holdback.
        LimitNotPositive, MixedCurrencies: an amount.
    """
    lines = {line.contract_line_id for line in contract.lines}
    _check_orders(billing.purchase_orders, lines, contract.currency)
    _check_payers(billing.payers, contract.currency)
    if billing.holdback is not None:
        _check_holdback(billing.holdback, contract)


def _check_orders(
    orders: Sequence[PurchaseOrder], lines: Collection[ContractLineId], currency: str
) -> None:
    numbers = [order.number for order in orders]
    for index, order in enumerate(orders):
        field = f"purchase_orders[{index}]"
        if order.number in numbers[:index]:
            raise PurchaseOrderRepeated(
                f"purchase order {order.number} is named twice", field=f"{field}.number"
            )
        if order.valid_to is not None and order.valid_to <= order.valid_from:
            raise PurchaseOrderValidity(
                f"purchase order {order.number} ends before it begins", field=f"{field}.valid_to"
            )
        _require_limit(order.amount, currency, f"{field}.amount")
        unknown = next((one for one in order.contract_line_ids if one not in lines), None)
        if unknown is not None:
            raise LineNotFound(
                f"the contract has no line {unknown}", field=f"{field}.contract_line_ids"
            )


def _check_payers(payers: Sequence[PayerShare], currency: str) -> None:
    if not payers:
        return
    for index, payer in enumerate(payers):
        field = f"payers[{index}]"
        if payer.customer_id in [one.customer_id for one in payers[:index]]:
            raise PayerRepeated(
                f"customer {payer.customer_id} pays twice",
                field=f"{field}.customer_id",
                advice="give each payer one share",
            )
        _check_payer(payer, currency, field)
    sharing = [payer for payer in payers if payer.amount is None]
    total = sum((payer.share_percent for payer in sharing), Decimal(0))
    if sharing and total != WHOLE_PERCENT:
        raise PayerShares(
            f"the payers' shares sum to {total:f} percent",
            field="payers",
            advice="let the shares of all who pay by percent sum to 100",
        )
    rounding = [payer for payer in payers if payer.is_rounding_payer]
    if len(rounding) != 1 or (sharing and rounding[0] not in sharing):
        raise RoundingPayer(
            "exactly one payer takes the cents that cannot be shared, one who pays by percent",
            field="payers",
            advice="set rounding_payer on one of those who share by percent, if any do",
        )


def _check_payer(payer: PayerShare, currency: str, field: str) -> None:
    _require_limit(payer.not_to_exceed, currency, f"{field}.not_to_exceed")
    _require_limit(payer.amount, currency, f"{field}.amount")
    if payer.amount is None:
        if payer.share_percent <= 0:
            raise PayerShares(
                "a payer with no share does not pay",
                field=f"{field}.share_percent",
                advice="leave the payer out, or give it an amount",
            )
    elif payer.share_percent != 0:
        raise PayerAmount(
            "who pays an amount has no share of the rest",
            field=f"{field}.share_percent",
            advice="send 0, or leave the amount out",
        )
    elif payer.not_to_exceed is not None:
        raise PayerAmount(
            "the amount is the most this payer pays",
            field=f"{field}.not_to_exceed",
            advice="leave it out",
        )


def _check_holdback(holdback: Holdback, contract: Contract) -> None:
    if not 0 < holdback.percent < WHOLE_PERCENT:
        raise HoldbackInvalid(
            "a holdback is a part of each invoice",
            field="holdback.percent",
            advice="send more than 0 and less than 100 percent, or no holdback",
        )
    if holdback.due_on is not None and holdback.due_on <= contract.start_on:
        raise HoldbackInvalid(
            f"the holdback is due before the term begins on {contract.start_on}",
            field="holdback.due_on",
        )


def _require_limit(limit: Money | None, currency: str, field: str) -> None:
    require_currency(limit, currency, field=field)
    if limit is not None and limit <= Money.zero(currency):
        raise LimitNotPositive(
            "an amount to pay at most is above nought",
            field=field,
            advice="leave it out where there is no limit",
        )
