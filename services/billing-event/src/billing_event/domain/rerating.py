"""Re-rating: what rated work should be worth by today's facts, minus what it is."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from billing_event.domain.agreement import Agreement, Facts
from billing_event.domain.drawing import Drawing
from billing_event.domain.position import (
    BillingEventId,
    EventStatus,
    Rating,
    Row,
    Treatment,
    Unit,
    live_rows,
)
from billing_event.domain.rating import Outcome, Priced, Rater, Share, Unratable
from billing_event.domain.recurring import RecurringPeriod, plan
from billing_event.domain.rerating_part import Part, has_same_price, parts_of
from billing_event.domain.review import has_taken
from billing_event.domain.source import AGREED, ContractId, ItemType, SourceItem, SourceItemId
from billing_event.domain.standing import Standing
from billing_event.domain.step import SourceStep, StepState
from billing_event.domain.terms import ReratingPolicy
from billing_event.domain.usage import Charge

_NOTHING: Final = Decimal(0)
ON_DRAFT: Final = "on the draft of an invoice, or being asked back from one"
"""Why a thing waits, or is left."""

_BY_RETAINER: Final = "a retainer pays for it: correct that by a top-up or an adjustment"


class Action(StrEnum):
    """What a run does about a thing."""

    NOTHING = "nothing"
    REPLACE = "replace"
    DEBIT = "debit"
    CREDIT = "credit"
    CREDIT_AND_REBILL = "credit_and_rebill"
    CANNOT = "cannot"


class Place(StrEnum):
    """Where a thing is; the furthest of its rows counts. Covered, nothing of it is billed."""

    HELD = "held"
    ELIGIBLE = "eligible"
    RELEASED = "released"
    DRAFTED = "drafted"
    INVOICED = "invoiced"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class Claims:
    """How much of the rows of a batch documents have claimed, and which rows are on drafts.

    A row that invoicing is asked to let go of counts as on a draft until it has answered.
    """

    quantities: dict[BillingEventId, Decimal]
    drafted: Collection[BillingEventId] = ()
    given_up: Collection[BillingEventId] = ()
    """Rows of which credit notes gave a part up."""

    def is_claimed(self, row: Row) -> bool:
        """Whether an issued invoice has a part of the row, or a draft has it."""
        return bool(self.quantities.get(row.billing_event_id)) or self.is_drafted(row)

    def is_drafted(self, row: Row) -> bool:
        return row.billing_event_id in self.drafted

    def is_whole(self, row: Row) -> bool:
        """Whether all of the row is invoiced, or will be once its draft is issued."""
        claimed = self.quantities.get(row.billing_event_id, _NOTHING)
        return claimed == row.quantity or self.is_drafted(row)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run found of one thing.

    `parts` are all its parts, those without a difference among them, in one order; they are what is
    approved. `item` is the thing at the price it should have, and `shares` that price. `currency`
    is that of all amounts; `old` and `new` are exact.
    """

    item: SourceItem
    place: Place
    action: Action
    reason: str
    unit: Unit
    currency: str
    old_quantity: Decimal
    new_quantity: Decimal
    old: Decimal
    new: Decimal
    parts: tuple[Part, ...]
    shares: tuple[Share, ...]

    @property
    def is_postable(self) -> bool:
        """Whether a run may post what is different."""
        return self.is_different and self.action is not Action.CANNOT

    @property
    def is_different(self) -> bool:
        """Whether something is billed to another payer, at another rate or in another quantity."""
        return self.action is not Action.NOTHING and any(
            part.old != part.new for part in self.parts
        )


class Comparer:
    """Compares the things of one batch with what they should be, by one state of the facts."""

    def __init__(
        self,
        facts: Facts,
        rater: Rater,
        charges: Mapping[SourceItemId, Charge],
        *,
        moves_payers: bool,
    ) -> None:
        """`charges` say what the usage periods among the things cost by today's terms."""
        self._facts = facts
        self._rater = rater
        self._charges = charges
        self._moves_payers = moves_payers
        self._periods: dict[ContractId, dict[UUID, RecurringPeriod]] = {}

    def compare(self, standing: Standing, claims: Claims) -> Finding | None:
        """Return what a thing should be worth and what is to be done.

        None if nothing of it is billed, nor should be. What a fee covered in between may have a
        price again; what another thing took back never has.
        """
        live = live_rows(standing.rows)
        if not live and standing.is_reversed:
            return None
        item = self._as_agreed_now(standing.item)
        outcome = self._outcome(item, live)
        shares = outcome.shares if isinstance(outcome, Priced) else ()
        obstacle = _no_price(outcome) or _other_currency(live, shares)
        if not (live or shares or obstacle):
            return None
        # What cannot be priced stays as it is.
        parts = parts_of(live, None if obstacle else shares)
        billed = _rating_of(live, shares) or standing.rows[-1].rating
        finding = Finding(
            item=item,
            place=_place(live, claims),
            action=Action.NOTHING,
            reason="",
            unit=billed.unit,
            currency=billed.unit_rate.currency,
            old_quantity=_sum(part.old for part in parts),
            new_quantity=_sum(part.new for part in parts),
            old=_sum(row.amount.amount for row in live),
            new=_sum(share.portion.amount.amount for share in shares),
            parts=parts,
            shares=shares,
        )
        if obstacle:
            return replace(finding, action=Action.CANNOT, reason=obstacle, new=finding.old)
        return self._decided(finding, live, claims)

    def on_drafts(self, finding: Finding, standing: Standing, claims: Claims) -> Finding:
        """Return a finding that has a difference, by where rows of the thing are on drafts."""
        live = live_rows(standing.rows)
        return self._decided(replace(finding, place=_place(live, claims)), live, claims)

    def _decided(self, finding: Finding, live: Sequence[Row], claims: Claims) -> Finding:
        if _is_same(finding.parts, moves_payers=self._moves_payers):
            return finding
        obstacle = self._obstacle(live, finding.shares, claims)
        if obstacle:
            return replace(finding, action=Action.CANNOT, reason=obstacle)
        return replace(finding, action=self._action(finding, live, claims), reason="")

    def _outcome(self, item: SourceItem, live: Sequence[Row]) -> Outcome:
        if item.type in AGREED and item.price is not None and item.price.is_zero:
            return Priced(())
        return self._rater.rate_again(item, filter(has_taken, live))

    def _as_agreed_now(self, item: SourceItem) -> SourceItem:
        """Return a period, recurring or of usage, at the price it has by today's terms."""
        charge = self._charges.get(item.source_item_id)
        if charge is not None and charge.amount != item.price:
            return replace(item, price=charge.amount, price_basis=charge.explanation)
        if item.type is not ItemType.RECURRING or item.contract_id is None:
            return item
        period = self._planned(item.contract_id).get(item.source_item_id)
        if period is None or period.amount == item.price:
            return item
        return replace(item, price=period.amount, price_basis=period.explanation)

    def _planned(self, contract_id: ContractId) -> dict[UUID, RecurringPeriod]:
        found = self._periods.get(contract_id)
        if found is None:
            agreement: Agreement | None = self._facts.agreements.get(contract_id)
            periods = () if agreement is None else plan(agreement)
            found = {each.recurring_period_id: each for each in periods}
            self._periods[contract_id] = found
        return found

    def _obstacle(self, live: Sequence[Row], shares: Sequence[Share], claims: Claims) -> str:
        """Return why a thing that differs must not be touched, empty if it may be."""
        if any(row.status is EventStatus.WRITTEN_OFF for row in live):
            return "a part of it is written off: undo that first"
        if any(row.billing_event_id in claims.given_up for row in live):
            return "a credit note gave a part of it up: adjust it by hand"
        treatments = {row.rating.treatment for row in live}
        treatments |= {share.rating.treatment for share in shares}
        if treatments != {Treatment.INVOICED}:
            return _BY_RETAINER
        if any(map(claims.is_claimed, live)):
            # An invoice is corrected in full or not at all.
            for hold in (hold for share in shares for hold in share.holds):
                return f"invoiced, and held by now: {hold.reason}: {hold.detail}"
        return ""

    def _action(self, finding: Finding, live: Sequence[Row], claims: Claims) -> Action:
        claimed = [row for row in live if claims.is_claimed(row)]
        if not claimed:
            return Action.REPLACE
        # What a credit note or an earlier difference took off cannot be credited once more.
        is_untouched = all(claims.is_whole(row) and row.amount.amount > 0 for row in claimed)
        if is_untouched and self._rebills(finding.item):
            return Action.CREDIT_AND_REBILL
        return Action.CREDIT if finding.new < finding.old else Action.DEBIT

    def _rebills(self, item: SourceItem) -> bool:
        agreement = None if item.contract_id is None else self._facts.agreements[item.contract_id]
        policy = None if agreement is None else agreement.newest.rerating_policy
        return policy is ReratingPolicy.CREDIT_AND_REBILL


def repricing(before: SourceItem, now: SourceItem, *, version: int) -> SourceStep | None:
    """Return the word that a thing is agreed at another price now, None where it is not."""
    if before.price == now.price:
        return None
    return SourceStep(
        source_item_id=now.source_item_id,
        version=version,
        state=StepState.REPRICED,
        price=now.price,
        service_from=now.service_from,
        service_to=now.service_to,
        reason=now.price_basis,
    )


def released_rows(standings: Iterable[Standing]) -> list[BillingEventId]:
    """Return the rows of things that invoicing may have on documents."""
    return [
        row.billing_event_id
        for standing in standings
        for row in live_rows(standing.rows)
        if row.status is EventStatus.RELEASED
    ]


def _is_same(parts: Sequence[Part], *, moves_payers: bool) -> bool:
    """Whether nothing has to be posted; unless payers are moved, who pays does not matter."""
    if moves_payers or all(part.old == part.new for part in parts):
        return all(part.old == part.new for part in parts)
    return has_same_price(parts)


def _no_price(outcome: Outcome) -> str:
    """Return why a thing has no price that its rows could be compared with, empty if it has."""
    if isinstance(outcome, Unratable):
        return f"{outcome.hold.reason}: {outcome.hold.detail}"
    # What a period of the retainer paid is the price of its block, whatever is agreed later.
    return _BY_RETAINER if isinstance(outcome, Drawing) else ""


def _other_currency(live: Sequence[Row], shares: Sequence[Share]) -> str:
    """Return why what is billed has no difference to its price, empty if it has one."""
    if not live or not shares:
        return ""
    billed, agreed = live[0].amount.currency, shares[0].portion.amount.currency
    if billed == agreed:
        return ""
    return f"billed in {billed}, and agreed in {agreed} by now: adjust it by hand"


def _rating_of(live: Sequence[Row], shares: Sequence[Share]) -> Rating | None:
    """Return terms a thing is billed by, or else should be; None where it is neither."""
    if live:
        return live[0].rating
    return shares[0].rating if shares else None


def _place(live: Sequence[Row], claims: Claims) -> Place:
    if not live:
        return Place.COVERED
    if any(claims.quantities.get(row.billing_event_id) for row in live):
        return Place.INVOICED
    if any(map(claims.is_drafted, live)):
        return Place.DRAFTED
    statuses = {row.status for row in live}
    if EventStatus.RELEASED in statuses or EventStatus.WRITTEN_OFF in statuses:
        return Place.RELEASED
    return Place.ELIGIBLE if EventStatus.ELIGIBLE in statuses else Place.HELD


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _NOTHING)
