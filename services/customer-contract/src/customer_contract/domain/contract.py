"""Contracts: terms drafted from quotes, of which no signed version is ever altered."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from customer_contract.domain.contract_events import ContractEvent, ContractLimitChanged
from customer_contract.domain.contract_limit import require_limit, with_limit
from customer_contract.domain.contract_profile import check_profile
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    InvoiceGrouping,
    LineDetail,
    PurchaseOrder,
)
from customer_contract.domain.quote import ContractAlreadySigned, Quote
from customer_contract.domain.values import ContractId, ContractLineId
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.quantity import EXACT_MINUTES


class NotDraft(FailedPrecondition):
    """The customer has signed these terms."""

    code = "contract.not_draft"


class NotActive(FailedPrecondition):
    """The contract is not in force."""

    code = "contract.not_active"


class CardCurrencyDiffers(FailedPrecondition):
    """The rate card prices hours in another currency."""

    code = "rate_card.currency_differs"


def draft(
    quote: Quote,
    *,
    contract_id: ContractId,
    engagement_id: UUID,
    number: str,
    time_zone: str,
    recorded: Amendment,
) -> Contract:
    """Return the draft of the terms an approved quote offers, billed as it usually is."""
    return Contract(
        contract_id=contract_id,
        version=1,
        contract_version=1,
        number=number,
        status=ContractStatus.DRAFT,
        engagement_id=engagement_id,
        correlation_id=quote.correlation_id,
        quote_id=quote.quote_id,
        quote_version=quote.quote_version,
        customer_id=quote.customer_id,
        legal_entity_id=quote.legal_entity_id,
        currency=quote.currency,
        time_zone=time_zone,
        start_on=quote.start_on,
        end_on=quote.end_on,
        lines=_lines_of(quote, contract_id),
        billing=BillingProfile(
            bill_to_customer_id=quote.customer_id,
            payment_terms_days=quote.payment_terms_days,
            purchase_order_number=quote.purchase_order_number,
            not_to_exceed=None,
            invoice_grouping=InvoiceGrouping.CONTRACT,
            line_detail=LineDetail.ROLE,
            time_rounding=EXACT_MINUTES,
            rate_card_id=None,
        ),
        amendment=recorded,
    )


def redraft(contract: Contract, quote: Quote, *, time_zone: str, recorded: Amendment) -> Contract:
    """Bring a draft to the quote's next version; lines that stay keep their ids.

    What was edited on the draft stays, except what the quote says and what was in another currency
    or about another customer.

    Raises:
        NotDraft: the customer has signed.
    """
    _require_draft(contract)
    fresh = draft(
        quote,
        contract_id=contract.contract_id,
        engagement_id=contract.engagement_id,
        number=contract.number,
        time_zone=time_zone,
        recorded=recorded,
    )
    same_currency = quote.currency == contract.currency
    same_customer = quote.customer_id == contract.customer_id
    billing = replace(
        contract.billing,
        bill_to_customer_id=(
            contract.billing.bill_to_customer_id if same_customer else quote.customer_id
        ),
        payment_terms_days=quote.payment_terms_days,
        purchase_order_number=quote.purchase_order_number,
        not_to_exceed=contract.billing.not_to_exceed if same_currency else None,
        purchase_orders=_orders_that_stay(contract, fresh) if same_currency else (),
        payers=contract.billing.payers if same_currency and same_customer else (),
        rate_card_id=contract.billing.rate_card_id if same_currency and same_customer else None,
    )
    return replace(fresh, version=contract.version + 1, billing=billing)


def edit_draft(
    contract: Contract, billing: BillingProfile, *, card_currency: str | None, recorded: Amendment
) -> Contract:
    """Replace the terms of a draft that the quote does not fix.

    `card_currency` is that of the rate card the terms name, None where they name none.

    Raises:
        NotDraft: the customer has signed.
        LimitNotPositive, MixedCurrencies: the not-to-exceed.
        CardCurrencyDiffers: the rate card.
        InvalidArgument: purchase orders, payers or holdback, see `check_profile`.
    """
    _require_draft(contract)
    require_limit(billing.not_to_exceed, contract.currency)
    check_profile(contract, billing)
    if card_currency not in {None, contract.currency}:
        raise CardCurrencyDiffers(
            f"the card is in {card_currency}, the contract in {contract.currency}",
            field="rate_card_id",
        )
    return replace(contract, version=contract.version + 1, billing=billing, amendment=recorded)


def change_limit(
    contract: Contract,
    limit: Money | None,
    *,
    contract_line_id: ContractLineId | None,
    recorded: Amendment,
    today: date,
) -> Change[Contract, ContractEvent]:
    """Move the not-to-exceed of a line, or the one over all lines, from today; None lifts it.

    Makes the next version of the terms, recorded as `recorded` says.

    Raises:
        NotActive: the contract is not in force.
        LineNotFound, LimitNotApplicable: the line.
        LimitUnchanged, LimitNotPositive, MixedCurrencies: the limit.
    """
    if contract.status is not ContractStatus.ACTIVE:
        raise NotActive(
            f"contract {contract.number} is {contract.status}",
            advice="edit the limit of a draft; a signed contract has to be active first",
        )
    moved = with_limit(contract, limit, contract_line_id=contract_line_id)
    # Versions follow each other in time, even if the clock was set back in between.
    effective_on = max(today, contract.amendment.effective_on or today)
    amended = replace(
        moved,
        version=contract.version + 1,
        contract_version=contract.contract_version + 1,
        amendment=replace(recorded, effective_on=effective_on),
    )
    return Change(amended, (ContractLimitChanged(amended),))


def require_unsigned(contract: Contract | None) -> None:
    """Refuse to change the offer behind a contract the customer has signed; None passes.

    Raises:
        ContractAlreadySigned: it is no longer a draft.
    """
    if contract is not None and contract.status is not ContractStatus.DRAFT:
        raise ContractAlreadySigned(
            f"contract {contract.number} made from this quote is {contract.status}",
            advice="agree on a change to the contract instead",
        )


def _lines_of(quote: Quote, contract_id: ContractId) -> tuple[ContractLine, ...]:
    return tuple(
        ContractLine(
            ContractLineId(derived_id("contract_line", contract_id, line.quote_line_id)), line
        )
        for line in quote.lines
    )


def _orders_that_stay(contract: Contract, fresh: Contract) -> tuple[PurchaseOrder, ...]:
    """Return the purchase orders of a draft without the lines that left the offer."""
    kept = {line.contract_line_id for line in fresh.lines}
    orders = []
    for order in contract.billing.purchase_orders:
        lines = tuple(one for one in order.contract_line_ids if one in kept)
        if lines or not order.contract_line_ids:
            orders.append(replace(order, contract_line_ids=lines))
    return tuple(orders)


def _require_draft(contract: Contract) -> None:
    if contract.status is not ContractStatus.DRAFT:
        raise NotDraft(
            f"contract {contract.number} is {contract.status}",
            advice="signed terms change by an agreed new version only",
        )
