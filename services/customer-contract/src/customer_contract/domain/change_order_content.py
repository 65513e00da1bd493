"""What a change order says: operations on the terms of a contract, all from the same day."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from customer_contract.domain.contract_terms import Holdback, PayerShare, PurchaseOrder
from customer_contract.domain.line_offer import LineOffer
from customer_contract.domain.service_line import (
    ActivityMultiplier,
    ExpensePolicy,
    LineRate,
    Milestone,
    RetainerTerms,
    ServiceLine,
    UsageTerms,
)
from customer_contract.domain.values import (
    ChangeOrderId,
    ContractId,
    ContractLineId,
    CustomerId,
    QuoteLineId,
)
from throughline_core.ids import derived_id
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """A line as it is asked for; `key` names it within the change order."""

    key: str
    offer: LineOffer


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line completed from the catalogue; its position is given when it is applied."""

    key: str
    line: ServiceLine


@dataclass(frozen=True, slots=True)
class LimitMove:
    """The not-to-exceed from now on, None = no limit any more."""

    limit: Money | None


@dataclass(frozen=True, slots=True)
class AlteredLine:
    """What a line is to say; None stays as it is, and no milestone is taken away."""

    contract_line_id: ContractLineId
    description: str | None = None
    quantity: Decimal | None = None
    unit_price: Money | None = None
    net_total: Money | None = None
    rates: tuple[LineRate, ...] | None = None
    milestones: tuple[Milestone, ...] = ()
    limit: LimitMove | None = None
    start_on: date | None = None
    end_on: date | None = None
    cost_budget: Money | None = None
    retainer: RetainerTerms | None = None
    usage: UsageTerms | None = None
    expense_policy: ExpensePolicy | None = None
    markup_percent: Decimal | None = None
    multipliers: tuple[ActivityMultiplier, ...] | None = None


@dataclass(frozen=True, slots=True)
class EndedLine:
    """A line that ends early; no day = the change order's effective day."""

    contract_line_id: ContractLineId
    ended_on: date | None = None


@dataclass(frozen=True, slots=True)
class HoldbackChange:
    """The holdback from now on, None = nothing is held back any more."""

    holdback: Holdback | None


@dataclass(frozen=True, slots=True)
class ContentOffer:
    """What a change order is to say, as it is asked for; see `ChangeOrderContent`."""

    added: tuple[OfferedLine, ...]
    rest: "ChangeOrderContent"


@dataclass(frozen=True, slots=True)
class ChangeOrderContent:
    """What a change order says; None stays as it is, lists replace the whole list."""

    added: tuple[AddedLine, ...] = ()
    altered: tuple[AlteredLine, ...] = ()
    ended: tuple[EndedLine, ...] = ()
    limit: LimitMove | None = None
    purchase_orders: tuple[PurchaseOrder, ...] | None = None
    payers: tuple[PayerShare, ...] | None = None
    holdback: HoldbackChange | None = None
    end_on: date | None = None
    bill_to_customer_id: CustomerId | None = None


def added_line_id(change_order_id: ChangeOrderId, key: str) -> QuoteLineId:
    """Return what a line added by a change order has in place of a quote line's id."""
    return QuoteLineId(derived_id("change_order_line", change_order_id, key))


def contract_line_id_of(contract_id: ContractId, line_id: QuoteLineId) -> ContractLineId:
    """Return the id a line of a quote or a change order has in the contract, in all versions."""
    return ContractLineId(derived_id("contract_line", contract_id, line_id))
