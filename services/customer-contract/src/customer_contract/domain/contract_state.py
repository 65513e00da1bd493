"""Where a contract stands: signed, in force, ended, and how it stood on any past day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from customer_contract.domain.contract_events import (
    ContractActivated,
    ContractCompleted,
    ContractEvent,
    ContractSigned,
    ContractTerminated,
)
from customer_contract.domain.contract_terms import (
    Amendment,
    Contract,
    ContractStatus,
    Signature,
)
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.transition import move

TRANSITIONS: Final[Mapping[ContractStatus, frozenset[ContractStatus]]] = {
    ContractStatus.DRAFT: frozenset({ContractStatus.SIGNED}),
    ContractStatus.SIGNED: frozenset({ContractStatus.ACTIVE, ContractStatus.TERMINATED}),
    ContractStatus.ACTIVE: frozenset({ContractStatus.COMPLETED, ContractStatus.TERMINATED}),
    ContractStatus.COMPLETED: frozenset(),
    ContractStatus.TERMINATED: frozenset(),
}


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


class ChangeOrdersOpen(FailedPrecondition):
    """A change to the contract is still being agreed, or has not been applied."""

    code = "contract.change_orders_open"


class NoTermsYet(NotFound):
    """Nothing had been signed that holds for that day."""

    code = "contract.no_terms_yet"


def sign(
    contract: Contract, signature: Signature, *, recorded: Amendment, today: date
) -> Change[Contract, ContractEvent]:
    """Record the customer's signature; `today` is the day in the contract's zone.

    The terms hold from the day of the signature, or from the start of the term where that is
    earlier: whoever signs late agrees to the whole term.

    Raises:
        IllegalTransition: it is not a draft.
        DateInFuture: it is dated later than today.
    """
    _require_past(signature.signed_on, today, field="signed_on")
    signed = replace(
        _move(contract, ContractStatus.SIGNED),
        signature=signature,
        amendment=replace(recorded, effective_on=min(signature.signed_on, contract.start_on)),
    )
    return Change(signed, (ContractSigned(signed),))


def activate_on_signature(
    signed: Contract, *, today: date, at: datetime
) -> Change[Contract, ContractEvent]:
    """Put a contract just signed into force from the later of start and signature.

    Before its term begins it only notes that it comes into force by itself on that day.

    Raises:
        IllegalTransition: the contract is not signed.
        TermOver: the term has ended.
    """
    on = first_day_in_force(signed)
    if on > today:
        return Change(replace(signed, is_activated_when_due=True), ())
    return activate(signed, on=on, today=today, at=at)


def first_day_in_force(contract: Contract) -> date:
    """Return the earliest day a signed contract can be in force from."""
    assert contract.signature is not None, "a draft is not put into force"
    return max(contract.start_on, contract.signature.signed_on)


def activate(
    contract: Contract, *, on: date, today: date, at: datetime
) -> Change[Contract, ContractEvent]:
    """Put a signed contract into force on `on`, a calendar date in the contract's zone.

    Raises:
        IllegalTransition: the contract is not signed.
        TermNotStarted, TermOver: `on` is outside the term `[start_on, end_on)`.
        DateInFuture: `on` is later than today.
    """
    active = replace(
        _move(contract, ContractStatus.ACTIVE),
        activated_on=on,
        is_activated_when_due=False,
        learned=replace(contract.learned, activated_at=at),
    )
    if on < contract.start_on:
        raise TermNotStarted(
            f"the term of contract {contract.number} begins on {contract.start_on}",
            field="activate_on",
            advice="activate it on that day",
        )
    _require_in_term(contract, on, field="activate_on")
    _require_past(on, today, field="activate_on")
    return Change(active, (ContractActivated(active),))


def terminate(
    contract: Contract, *, on: date, today: date, reason: str, at: datetime
) -> Change[Contract, ContractEvent]:
    """End a signed or active contract; `on` is the first day it is no longer in force.

    Raises:
        IllegalTransition: it is a draft, or has ended.
        EndsBeforeStart: `on` is before it was signed or came into force.
        TermOver: the term ends earlier by itself.
        DateInFuture: `on` is later than today.
    """
    terminated = replace(
        _move(contract, ContractStatus.TERMINATED),
        terminated_on=on,
        termination_reason=reason,
        is_activated_when_due=False,
        learned=replace(contract.learned, ended_at=at),
    )
    began_on = contract.activated_on or (contract.signature and contract.signature.signed_on)
    if began_on and on < began_on:
        raise EndsBeforeStart(
            f"contract {contract.number} began on {began_on}", field="terminate_on"
        )
    _require_in_term(contract, on, field="terminate_on")
    _require_past(on, today, field="terminate_on")
    return Change(terminated, (ContractTerminated(terminated),))


def complete(
    contract: Contract, *, on: date, today: date, open_change_orders: int, at: datetime
) -> Change[Contract, ContractEvent]:
    """Record that everything agreed was done by `on`, within the term or after it.

    Raises:
        IllegalTransition: the contract is not in force.
        ChangeOrdersOpen: a change order is drafted, proposed or waits to be applied.
        EndsBeforeStart: `on` is before it came into force.
        DateInFuture: `on` is later than today.
    """
    completed = replace(
        _move(contract, ContractStatus.COMPLETED),
        completed_on=on,
        learned=replace(contract.learned, ended_at=at),
    )
    if open_change_orders:
        raise ChangeOrdersOpen(
            f"contract {contract.number} has {open_change_orders} open change orders",
            advice="apply, reject or withdraw them first",
        )
    assert contract.activated_on is not None, "a contract in force has come into force"
    if on < contract.activated_on:
        raise EndsBeforeStart(
            f"contract {contract.number} began on {contract.activated_on}", field="complete_on"
        )
    _require_past(on, today, field="complete_on")
    return Change(completed, (ContractCompleted(completed),))


def as_of(contract: Contract, day: date, *, known_at: datetime | None = None) -> Contract:
    """Return the contract, given the terms that hold for `day`, as it stood at the end of it.

    With `known_at` it is told as this service knew it then; None is everything known by now.

    Raises:
        NoTermsYet: no signed terms hold for that day.
    """
    effective_on = contract.amendment.effective_on
    if effective_on is None or day < effective_on:
        raise NoTermsYet(
            f"contract {contract.number} had no signed terms for {day}",
            field="as_of",
            advice="send the first day of the term, the day of the signature, or a later day",
        )
    shown = replace(contract, is_activated_when_due=False)
    ended_on = contract.terminated_on or contract.completed_on
    if _happened(ended_on, contract.learned.ended_at, day, known_at):
        return shown
    going_on = replace(
        shown,
        terminated_on=None,
        termination_reason="",
        completed_on=None,
        status=ContractStatus.ACTIVE,
    )
    if _happened(contract.activated_on, contract.learned.activated_at, day, known_at):
        return going_on
    return replace(going_on, status=ContractStatus.SIGNED, activated_on=None)


def _happened(
    on: date | None, learned_at: datetime | None, day: date, known_at: datetime | None
) -> bool:
    if on is None or on > day:
        return False
    return known_at is None or learned_at is None or learned_at <= known_at


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
