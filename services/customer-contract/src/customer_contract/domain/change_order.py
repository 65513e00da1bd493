"""Change orders: agreed changes to a signed contract, from the draft to the next version."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from customer_contract.domain.change_order_content import ChangeOrderContent
from customer_contract.domain.change_order_record import (
    TRANSITIONS,
    Application,
    ChangeApproval,
    ChangeOrder,
    ChangeOrderApproved,
    ChangeOrderStatus,
    Comparison,
    Grounds,
)
from customer_contract.domain.contract import NotActive
from customer_contract.domain.contract_amendment import (
    amend,
    require_effective,
    stretches,
)
from customer_contract.domain.contract_events import ContractAmended
from customer_contract.domain.contract_state import DateInFuture
from customer_contract.domain.contract_terms import (
    Amendment,
    Contract,
    ContractStatus,
    Signature,
)
from customer_contract.domain.term_change import TermChange, differences
from customer_contract.domain.values import ChangeOrderId
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.transition import move

_OPEN_CONTRACT: Final = frozenset({ContractStatus.SIGNED, ContractStatus.ACTIVE})


class NotADraft(FailedPrecondition):
    """What the change order says is under review, or agreed."""

    code = "change_order.not_draft"


class ContractNotOpen(FailedPrecondition):
    """The contract is not signed yet, or has ended."""

    code = "change_order.contract_not_open"


class ChangesNothing(InvalidArgument):
    """The contract says all of this already."""

    code = "change_order.empty"


class ApprovedByProposer(FailedPrecondition):
    """Whoever wrote or proposed a change order does not approve it."""

    code = "change_order.approved_by_proposer"


class PeriodClosed(FailedPrecondition):
    """The change would hold in a period whose books are closed."""

    code = "change_order.period_closed"


class NotDue(FailedPrecondition):
    """The day the change takes effect on has not come."""

    code = "change_order.not_due"


class Stale(FailedPrecondition):
    """A term the change order touches was changed since it was approved."""

    code = "change_order.stale"


def draft(
    grounds: Grounds,
    content: ChangeOrderContent,
    *,
    change_order_id: ChangeOrderId,
    number: str,
    reason: str,
    effective_on: date,
    by: str,
) -> ChangeOrder:
    """Return the draft of a change to a contract, which has to fit its terms as they are.

    Raises:
        ContractNotOpen: the contract is a draft, or has ended.
        ChangesNothing, and what `contract_amendment.amend` refuses: the content.
    """
    contract = grounds.contract
    change_order = ChangeOrder(
        change_order_id=change_order_id,
        version=1,
        number=number,
        contract_id=contract.contract_id,
        legal_entity_id=contract.legal_entity_id,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
        currency=contract.currency,
        status=ChangeOrderStatus.DRAFT,
        reason=reason,
        effective_on=effective_on,
        content=content,
        drafted_by=by,
    )
    require_open(contract)
    compare(change_order, grounds.history)
    return change_order


def redraft(
    change_order: ChangeOrder,
    grounds: Grounds,
    content: ChangeOrderContent,
    *,
    reason: str,
    effective_on: date,
    by: str,
) -> ChangeOrder:
    """Replace what a draft says.

    Raises:
        NotADraft: it was proposed.
        ContractNotOpen, ChangesNothing: see `draft`.
    """
    require_draft(change_order)
    redrafted = replace(
        change_order,
        version=change_order.version + 1,
        content=content,
        reason=reason,
        effective_on=effective_on,
        drafted_by=by,
    )
    require_open(grounds.contract)
    compare(redrafted, grounds.history)
    return redrafted


def propose(change_order: ChangeOrder, grounds: Grounds, *, by: str) -> ChangeOrder:
    """Hand a draft over for approval, or an approved one again; its approval lapses.

    Raises:
        IllegalTransition: it is neither.
        ContractNotOpen, PeriodClosed, ChangesNothing: see `_require_fit`.
    """
    proposed = _move(change_order, ChangeOrderStatus.PROPOSED)
    _require_fit(change_order, grounds)
    return replace(proposed, proposed_by=by, approval=None)


def approve(
    change_order: ChangeOrder, grounds: Grounds, *, by: str, signature: Signature, at: datetime
) -> Change[ChangeOrder, ChangeOrderApproved]:
    """Approve a proposal as a second person, with the customer's signature.

    Raises:
        IllegalTransition: it is not proposed.
        ApprovedByProposer: `by` wrote or proposed it.
        DateInFuture: the signature is dated later than today.
        ContractNotOpen, PeriodClosed, ChangesNothing: see `_require_fit`.
    """
    moved = _move(change_order, ChangeOrderStatus.APPROVED)
    if by in {change_order.drafted_by, change_order.proposed_by}:
        raise ApprovedByProposer(
            f"{by} wrote or proposed change order {change_order.number}",
            advice="let somebody else approve it",
        )
    if signature.signed_on > grounds.today:
        raise DateInFuture(
            f"{signature.signed_on} is later than today, {grounds.today}",
            field="signature.signed_on",
        )
    changes = _require_fit(change_order, grounds).changes
    approval = ChangeApproval(by, at, signature, grounds.contract.contract_version)
    approved = replace(moved, approval=approval)
    return Change(approved, (ChangeOrderApproved(approved, changes),))


def reject(change_order: ChangeOrder, *, reason: str) -> ChangeOrder:
    """Turn a proposal down.

    Raises:
        IllegalTransition: it is not proposed.
    """
    return replace(_move(change_order, ChangeOrderStatus.REJECTED), closing_reason=reason)


def withdraw(change_order: ChangeOrder, *, reason: str) -> ChangeOrder:
    """Take a change order back.

    Raises:
        IllegalTransition: it is applied, rejected or withdrawn.
    """
    return replace(_move(change_order, ChangeOrderStatus.WITHDRAWN), closing_reason=reason)


def apply(
    change_order: ChangeOrder, grounds: Grounds, *, recorded: Amendment
) -> tuple[ChangeOrder, tuple[Change[Contract, ContractAmended], ...]]:
    """Apply an approved change order.

    Returns it with the next versions of the contract, oldest first: one for each stretch of days
    from its effective day on that had terms of its own, so that what was agreed for later days
    still begins on its day.

    Raises:
        IllegalTransition: it is not approved.
        NotActive: the contract is not in force.
        NotDue: its day has not come.
        PeriodClosed: its day is in a closed period.
        Stale: a term it touches was changed since its approval.
        InvalidArgument, FailedPrecondition: it does not fit any more, see `amend`.
    """
    moved = _move(change_order, ChangeOrderStatus.APPLIED)
    contract = grounds.contract
    if contract.status is not ContractStatus.ACTIVE:
        raise NotActive(
            f"contract {contract.number} is {contract.status}",
            advice="activate it first; an ended contract is not changed any more",
        )
    if change_order.effective_on > grounds.today:
        raise NotDue(
            f"change order {change_order.number} takes effect on {change_order.effective_on}",
            advice="it is applied by itself on that day",
        )
    _require_period_open(change_order, grounds)
    if conflicts(change_order, grounds.history):
        raise Stale(
            f"contract {contract.number} was changed since {change_order.number} was approved",
            advice="compare it, propose it again and have it approved anew",
        )
    changes = _versions(change_order, grounds, recorded)
    made = tuple(change.state.contract_version for change in changes)
    return replace(moved, application=Application(recorded.recorded_at, made)), changes


def compare(change_order: ChangeOrder, history: Sequence[Contract]) -> Comparison:
    """Return what the change order makes of the terms that hold for its effective day.

    `history` is every signed version of the terms; all that hold for later days have to take the
    change as well.

    Raises:
        ChangesNothing: they say all of this already.
        OutsideContractTerm: the effective day.
        InvalidArgument, FailedPrecondition: it does not fit, see `contract_amendment.amend`.
    """
    latest = history[-1]
    require_effective(
        change_order.effective_on, latest, change_order.content.end_on or latest.end_on
    )
    found = [
        _compared(change_order, base) for _, base in stretches(history, change_order.effective_on)
    ]
    if not any(comparison.changes for comparison in found):
        raise ChangesNothing(
            "the contract says all of this already",
            field="content",
            advice="say what is to change",
        )
    return found[0]


def is_due(change_order: ChangeOrder, grounds: Grounds) -> bool:
    """Return whether an approved change order is to be applied by now."""
    is_active = grounds.contract.status is ContractStatus.ACTIVE
    return is_active and change_order.effective_on <= grounds.today


def conflicts(change_order: ChangeOrder, history: Sequence[Contract]) -> tuple[TermChange, ...]:
    """Return what an approved change order would do now, and would not have done when approved.

    `history` is every signed version of the terms, the latest one last.
    """
    approval = change_order.approval
    if approval is None:
        return ()
    known = [one for one in history if one.contract_version <= approval.contract_version]
    if len(known) == len(history):
        return ()
    day = change_order.effective_on
    [(_, then), *_], [(_, now), *_] = stretches(known, day), stretches(history, day)
    found: dict[TermChange, None] = {}
    for base, latest in ((then, now), (known[-1], history[-1])):
        agreed = _compared(change_order, base).changes
        present = _compared(change_order, latest).changes
        found |= dict.fromkeys(change for change in present if change not in agreed)
        found |= dict.fromkeys(change for change in agreed if change not in present)
    return tuple(found)


def require_draft(change_order: ChangeOrder) -> None:
    """Refuse to rewrite what is under review or agreed.

    Raises:
        NotADraft.
    """
    if change_order.status is not ChangeOrderStatus.DRAFT:
        raise NotADraft(
            f"change order {change_order.number} is {change_order.status}",
            advice="withdraw it and draft another",
        )


def require_open(contract: Contract) -> None:
    """Refuse a change to terms that are not signed, or hold no more.

    Raises:
        ContractNotOpen.
    """
    if contract.status not in _OPEN_CONTRACT:
        raise ContractNotOpen(
            f"contract {contract.number} is {contract.status}",
            advice="edit a draft itself; an ended contract is not changed any more",
        )


def _versions(
    change_order: ChangeOrder, grounds: Grounds, recorded: Amendment
) -> tuple[Change[Contract, ContractAmended], ...]:
    contract = grounds.contract
    changes = []
    days = stretches(grounds.history, change_order.effective_on)
    for step, (day, base) in enumerate(days, start=1):
        compared = _compared(change_order, base)
        version = replace(
            contract,
            version=contract.version + step,
            contract_version=contract.contract_version + step,
            lines=compared.after.lines,
            billing=compared.after.billing,
            end_on=compared.after.end_on,
            amendment=replace(
                recorded, effective_on=day, change_order_id=change_order.change_order_id
            ),
        )
        event = ContractAmended(
            contract=version,
            change_order_id=change_order.change_order_id,
            change_order_number=change_order.number,
            changes=compared.changes,
            is_retroactive=day < grounds.today,
        )
        changes.append(Change(version, (event,)))
    return tuple(changes)


def _compared(change_order: ChangeOrder, base: Contract) -> Comparison:
    amended = amend(
        base,
        change_order.content,
        change_order_id=change_order.change_order_id,
        effective_on=change_order.effective_on,
    )
    return Comparison(base, amended, differences(base, amended))


def _require_fit(change_order: ChangeOrder, grounds: Grounds) -> Comparison:
    """Return what the change order changes, refusing what could not be applied.

    Raises:
        ContractNotOpen, PeriodClosed, ChangesNothing, and what `compare` refuses.
    """
    require_open(grounds.contract)
    _require_period_open(change_order, grounds)
    return compare(change_order, grounds.history)


def _require_period_open(change_order: ChangeOrder, grounds: Grounds) -> None:
    closed = grounds.closed_through
    if closed is not None and change_order.effective_on <= closed:
        raise PeriodClosed(
            f"the books are closed through {closed}, "
            f"change order {change_order.number} takes effect on {change_order.effective_on}",
            field="effective_on",
            advice="let it take effect in an open period, or ask finance to reopen",
        )


def _move(change_order: ChangeOrder, target: ChangeOrderStatus) -> ChangeOrder:
    label = f"change order {change_order.number}"
    status = move(label, change_order.status, target, TRANSITIONS)
    return replace(change_order, status=status, version=change_order.version + 1)
