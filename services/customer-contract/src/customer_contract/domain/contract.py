"""Contracts: signed terms in versions, of which no earlier one is ever altered."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from uuid import UUID

from customer_contract.domain.contract_limit import require_limit, with_limit
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    InvoiceGrouping,
    LineDetail,
    Signature,
)
from customer_contract.domain.quote import ContractAlreadySigned, Quote
from customer_contract.domain.values import ContractId, ContractLineId
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.quantity import EXACT_MINUTES
from throughline_core.transition import move

TRANSITIONS: Final[Mapping[ContractStatus, frozenset[ContractStatus]]] = {
    ContractStatus.DRAFT: frozenset({ContractStatus.SIGNED}),
    ContractStatus.SIGNED: frozenset({ContractStatus.ACTIVE, ContractStatus.TERMINATED}),
    ContractStatus.ACTIVE: frozenset({ContractStatus.COMPLETED, ContractStatus.TERMINATED}),
    ContractStatus.COMPLETED: frozenset(),
    ContractStatus.TERMINATED: frozenset(),
}


class NotDraft(FailedPrecondition):
    """The customer has signed these terms."""

    code = "contract.not_draft"


class NotActive(FailedPrecondition):
    """The contract is not in force."""

    code = "contract.not_active"


class DateInFuture(InvalidArgument):
    """What has not happened yet cannot be recorded."""

    code = "contract.date_in_future"


class TermNotStarted(FailedPrecondition):
    """The term begins later."""

    code = "contract.term_not_started"


class TermOver(FailedPrecondition):
    """The term has ended."""

    code = "contract.term_over"


class EndsBeforeStart(InvalidArgument):
    """The end lies before the contract was signed or came into force."""

    code = "contract.ends_before_start"


class CardCurrencyDiffers(FailedPrecondition):
    """The rate card prices hours in another currency."""

    code = "rate_card.currency_differs"


class NoTermsYet(NotFound):
    """Nothing had been signed by that day."""

    code = "contract.no_terms_yet"


@dataclass(frozen=True, slots=True)
class ContractSigned:
    """The customer signed."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractActivated:
    """A signed contract came into force."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractLimitChanged:
    """A limit of an active contract was moved."""

    contract: Contract


ContractEvent = ContractSigned | ContractActivated | ContractLimitChanged


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
    """
    _require_draft(contract)
    require_limit(billing.not_to_exceed, contract.currency)
    if card_currency not in {None, contract.currency}:
        raise CardCurrencyDiffers(
            f"the card is in {card_currency}, the contract in {contract.currency}",
            field="rate_card_id",
        )
    return replace(contract, version=contract.version + 1, billing=billing, amendment=recorded)


def sign(
    contract: Contract, signature: Signature, *, today: date
) -> Change[Contract, ContractEvent]:
    """Record the customer's signature; `today` is the day in the contract's zone.

    Raises:
        IllegalTransition: it is not a draft.
        DateInFuture: it is dated later than today.
    """
    _require_past(signature.signed_on, today, field="signed_on")
    signed = replace(
        _move(contract, ContractStatus.SIGNED),
        signature=signature,
        amendment=replace(contract.amendment, effective_on=signature.signed_on),
    )
    return Change(signed, (ContractSigned(signed),))


def activate(contract: Contract, *, on: date, today: date) -> Change[Contract, ContractEvent]:
    """Put a signed contract into force on `on`, a calendar date in the contract's zone.

    Raises:
        IllegalTransition: the contract is not signed.
        TermNotStarted, TermOver: `on` is outside the term `[start_on, end_on)`.
        DateInFuture: `on` is later than today.
    """
    active = replace(_move(contract, ContractStatus.ACTIVE), activated_on=on)
    if on < contract.start_on:
        raise TermNotStarted(
            f"the term of contract {contract.number} begins on {contract.start_on}",
            field="activate_on",
            advice="activate it on that day",
        )
    _require_in_term(contract, on, field="activate_on")
    _require_past(on, today, field="activate_on")
    return Change(active, (ContractActivated(active),))


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


def terminate(
    contract: Contract, *, on: date, today: date, reason: str
) -> Change[Contract, ContractEvent]:
    """End a signed or active contract; `on` is the first day it is no longer in force.

    Raises:
        IllegalTransition: it is a draft, or has ended.
        EndsBeforeStart: `on` is before it was signed or came into force.
        TermOver: the term ends earlier by itself.
        DateInFuture: `on` is later than today.
    """
    terminated = replace(
        _move(contract, ContractStatus.TERMINATED), terminated_on=on, termination_reason=reason
    )
    began_on = contract.activated_on or (contract.signature and contract.signature.signed_on)
    if began_on and on < began_on:
        raise EndsBeforeStart(
            f"contract {contract.number} began on {began_on}", field="terminate_on"
        )
    _require_in_term(contract, on, field="terminate_on")
    _require_past(on, today, field="terminate_on")
    return Change(terminated, ())


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


def as_of(contract: Contract, day: date) -> Contract:
    """Return the contract as it stood at the end of `day`, given the terms in force that day.

    Raises:
        NoTermsYet: it had not been signed.
    """
    signature = contract.signature
    if signature is None or day < signature.signed_on:
        raise NoTermsYet(
            f"contract {contract.number} had no signed terms on {day}",
            field="as_of",
            advice="send the day of the signature or a later one",
        )
    if contract.terminated_on is not None and contract.terminated_on <= day:
        return contract
    earlier = replace(contract, terminated_on=None, termination_reason="")
    if contract.activated_on is not None and contract.activated_on <= day:
        return replace(earlier, status=ContractStatus.ACTIVE)
    return replace(earlier, status=ContractStatus.SIGNED, activated_on=None)


def _lines_of(quote: Quote, contract_id: ContractId) -> tuple[ContractLine, ...]:
    return tuple(
        ContractLine(
            ContractLineId(derived_id("contract_line", contract_id, line.quote_line_id)), line
        )
        for line in quote.lines
    )


def _require_draft(contract: Contract) -> None:
    if contract.status is not ContractStatus.DRAFT:
        raise NotDraft(
            f"contract {contract.number} is {contract.status}",
            advice="signed terms change by an agreed new version only",
        )


def _require_past(day: date, today: date, *, field: str) -> None:
    if day > today:
        raise DateInFuture(f"{day} is later than today, {today}", field=field)


def _require_in_term(contract: Contract, day: date, *, field: str) -> None:
    if day >= contract.end_on:
        raise TermOver(
            f"the term of contract {contract.number} ends before {contract.end_on}", field=field
        )


def _move(contract: Contract, target: ContractStatus) -> Contract:
    status = move(f"contract {contract.number}", contract.status, target, TRANSITIONS)
    return replace(contract, status=status, version=contract.version + 1)
