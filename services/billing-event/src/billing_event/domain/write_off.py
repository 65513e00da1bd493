"""Rated work that is given up, or excluded from billing: proposed, approved by another, undone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.hold import HoldReason
from billing_event.domain.position import (
    QUANTITY_PLACES,
    BillingEventId,
    EventStatus,
    Row,
    Treatment,
    cut,
    live_rows,
    portion_from,
)
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_core.money import Money
from throughline_core.transition import move

WriteOffId = NewType("WriteOffId", UUID)

ROWS_MAX: Final = 500
"""Rows one proposal may name."""

_GIVE_UP_BY_CREDIT: Final = (
    "credit the invoice with write_off instead; what a credit note returned has to be billed again"
    " first"
)

OPEN: Final = (EventStatus.HELD, EventStatus.ELIGIBLE, EventStatus.RELEASED)
"""Where a row that can be written off stands."""


class WriteOffKind(StrEnum):
    """Given up, which lowers realisation, or never meant to be billed, which does not."""

    WRITE_OFF = "write_off"
    EXCLUSION = "exclusion"


class WriteOffStatus(StrEnum):
    """Where a write-off stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    UNDONE = "undone"


class WriteOffReason(StrEnum):
    """Why work is given up."""

    GOODWILL = "goodwill"
    QUALITY = "quality"
    OVERRUN = "overrun"
    AGREED_FREE = "agreed_free"
    OVER_LIMIT = "over_limit"
    MISTAKE = "mistake"
    UNCOLLECTABLE = "uncollectable"
    OTHER = "other"


TRANSITIONS: Final[Mapping[WriteOffStatus, frozenset[WriteOffStatus]]] = {
    WriteOffStatus.PROPOSED: frozenset({WriteOffStatus.APPROVED, WriteOffStatus.REJECTED}),
    WriteOffStatus.APPROVED: frozenset({WriteOffStatus.UNDONE}),
    WriteOffStatus.REJECTED: frozenset(),
    WriteOffStatus.UNDONE: frozenset(),
}


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """A row as proposed with what is given up of it; `written_off_id` is the row that is, then."""

    billing_event_id: BillingEventId
    amount: Money
    written_off_id: BillingEventId | None = None


@dataclass(frozen=True, slots=True)
class WriteOff:
    """Rows of one legal entity; `quantity` is the part of a single row, None for all of each."""

    write_off_id: WriteOffId
    version: int
    kind: WriteOffKind
    status: WriteOffStatus
    reason_code: WriteOffReason
    reason: str
    rows: tuple[ProposedRow, ...]
    quantity: Decimal | None
    legal_entity_id: UUID
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""


class WriteOffNotFound(NotFound):
    """No such write-off, or none the caller may see."""

    code = "write_off.not_found"


class NothingNamed(InvalidArgument):
    """The request names no rows, or none match."""

    code = "write_off.nothing_named"


class TooManyRows(InvalidArgument):
    """More rows match than one proposal takes."""

    code = "write_off.too_many_rows"


class PartOfSeveral(InvalidArgument):
    """A part can be cut off one row only."""

    code = "write_off.part_of_several"


class PartOfRest(InvalidArgument):
    """A credit note gave a part of the row up; the rest of it goes as a whole."""

    code = "write_off.part_of_rest"


class ChangedSince(FailedPrecondition):
    """A row is worth something else than when it was proposed."""

    code = "write_off.changed_since"


class AgreedAnew(FailedPrecondition):
    """The thing is worth less than when it was written off, and so is what stays given up."""

    code = "write_off.agreed_anew"


class PartTooLarge(InvalidArgument):
    """The row has no more than that."""

    code = "write_off.part_too_large"


class AlreadyProposed(AlreadyExists):
    """Another proposal names the row and was not decided yet."""

    code = "write_off.already_proposed"


class ApprovedByProposer(PermissionDenied):
    """Four eyes: who proposed it does not approve it."""

    code = "write_off.approved_by_proposer"


class BelongsTogether(FailedPrecondition):
    """Rows over one limit that a raise let go on in part sum to what is held: all or none."""

    code = "write_off.belongs_together"


class NotOpen(FailedPrecondition):
    """The row was invoiced, taken back or written off."""

    code = "billing_event.not_open"


class PaidInAdvance(FailedPrecondition):
    """The block of a retainer is owed rather than delivered: work would go on drawing on it."""

    code = "write_off.paid_in_advance"


class OnADraft(FailedPrecondition):
    """A draft or an invoice claims the row."""

    code = "billing_event.on_a_draft"


class NoRoom(FailedPrecondition):
    """A limit has no room for the row any more."""

    code = "write_off.no_room"


def require_open(row: Row, *, is_billed: bool, given_up: Decimal) -> None:
    """Check that a row, of which credit notes gave up some quantity, can be written off.

    Raises:
        NotOpen: it is invoiced, or was taken back, written off or given up by credit notes.
        PaidInAdvance: it is the block of a retainer.
    """
    if row.rating.treatment is Treatment.PREPAYMENT:
        raise PaidInAdvance(
            f"billing event {row.billing_event_id} is paid in advance: work draws on it",
            field="billing_event_ids",
            advice="end the retainer by a change order, or agree an adjustment below zero",
        )
    is_counting = row.reverses is None and not row.is_taken_back
    if given_up and given_up == row.quantity:
        raise NotOpen(
            f"billing event {row.billing_event_id} was given up by a credit note",
            field="billing_event_ids",
            advice="leave it out",
        )
    if row.status in OPEN and is_counting and not is_billed:
        return
    why = "is invoiced" if is_billed else f"is {row.status}"
    if not is_counting:
        why = "was taken back"
    raise NotOpen(
        f"billing event {row.billing_event_id} {why}",
        field="billing_event_ids",
        advice=_GIVE_UP_BY_CREDIT if is_billed else "leave it out",
    )


def require_whole(rows: Sequence[Row], named: Collection[BillingEventId]) -> None:
    """Check of the rows of one thing that those a limit holds for one payer are named together.

    Raises:
        BelongsTogether: some are named and others are not.
    """
    stopped: dict[UUID, set[BillingEventId]] = {}
    for row in live_rows(rows):
        if any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds):
            stopped.setdefault(row.rating.bill_to_customer_id, set()).add(row.billing_event_id)
    for together in stopped.values():
        left_out = together - set(named)
        if left_out and left_out != together:
            raise BelongsTogether(
                f"billing event {min(left_out)} belongs to what is to be written off",
                field="billing_event_ids",
                advice="name all rows of the thing that the limit holds, or its contract",
            )


def worth_of(row: Row, quantity: Decimal | None, *, given_up: Decimal) -> Money:
    """Return what a part of a row is worth, or without one all that credit notes left of it.

    Raises:
        PartTooLarge, InvalidArgument: see `part_of`.
        PartOfRest: credit notes gave some of the row up.
    """
    if quantity is None:
        return row.amount - cut(row.rating, portion_from(row), given_up)[0].amount
    if given_up:
        raise PartOfRest(
            f"a credit note gave up {given_up} {row.rating.unit} of {row.billing_event_id}",
            field="quantity",
            advice="leave the quantity out, for all that is left of it",
        )
    return part_of(row, quantity)


def require_as_proposed(write_off: WriteOff, row: Row, *, given_up: Decimal) -> None:
    """Check that a row of a proposal is worth what was proposed.

    Raises:
        ChangedSince, PartOfRest: credit notes gave some of it up since.
    """
    [proposed] = (
        each.amount for each in write_off.rows if each.billing_event_id == row.billing_event_id
    )
    worth = worth_of(row, write_off.quantity, given_up=given_up)
    if worth != proposed:
        raise ChangedSince(
            f"{worth} of billing event {row.billing_event_id} is left, {proposed} was proposed",
            field="write_off_id",
            advice="reject it, and propose what is left",
        )


def require_as_written_off(rows: Sequence[Row], named: Collection[BillingEventId]) -> None:
    """Check that those of a thing's rows that were written off are still what is given up of it.

    Raises:
        AgreedAnew: another row is, as the thing is worth less by now.
    """
    went = [row for row in rows if row.is_taken_back and row.billing_event_id in named]
    stays = [
        row
        for row in live_rows(rows)
        if row.status is EventStatus.WRITTEN_OFF and row.billing_event_id not in named
    ]
    if went and stays:
        raise AgreedAnew(
            f"what was written off of {went[0].billing_event_id} was agreed anew since,"
            f" {stays[0].amount} of it is given up",
            field="write_off_id",
            advice="bill it after all by an adjustment",
        )


def part_of(row: Row, quantity: Decimal) -> Money:
    """Return what a part of a row is worth.

    Raises:
        PartTooLarge: the row has less, or not more, than the part.
        InvalidArgument: the part is nothing, or has more decimals than its unit is printed with.
    """
    if quantity <= 0:
        raise InvalidArgument(
            f"{quantity} {row.rating.unit} is nothing to write off",
            field="quantity",
            advice="name how much is given up, or leave the quantity out for all of it",
        )
    places = QUANTITY_PLACES[row.rating.unit]
    if quantity != quantity.quantize(Decimal(1).scaleb(-places)):
        raise InvalidArgument(
            f"a quantity in {row.rating.unit} has at most {places} decimals", field="quantity"
        )
    if row.quantity <= 0 or quantity >= row.quantity:
        raise PartTooLarge(
            f"billing event {row.billing_event_id} has {row.quantity} {row.rating.unit}",
            field="quantity",
            advice="name less than that, or leave the quantity out for all of it",
        )
    off, _ = cut(row.rating, portion_from(row), quantity)
    return off.amount


def decided(
    write_off: WriteOff, status: WriteOffStatus, *, by: str, at: datetime, reason: str = ""
) -> WriteOff:
    """Return the write-off as decided, one version on.

    Raises:
        IllegalTransition: it was decided before.
        ApprovedByProposer: `by` proposed what is to be approved.
    """
    move(f"write-off {write_off.write_off_id}", write_off.status, status, TRANSITIONS)
    if status is WriteOffStatus.APPROVED and by == write_off.proposed_by:
        raise ApprovedByProposer(
            "who proposes a write-off does not approve it",
            advice="ask somebody else in finance",
        )
    return replace(
        write_off,
        status=status,
        version=write_off.version + 1,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Realisation:
    """What a contract line's rated work is, and how much of it is given up, before and after."""

    contract_line_id: UUID
    rated: Money
    written_off_before: Money
    written_off_after: Money

    def percent(self, written_off: Money) -> Decimal | None:
        """Return the share that is still billed, in percent; None where nothing is rated."""
        if self.rated.is_zero:
            return None
        return (self.rated - written_off).amount / self.rated.amount * 100


def one_entity(entities: Sequence[UUID]) -> UUID:
    """Return the legal entity all rows belong to.

    Raises:
        InvalidArgument: they belong to several.
    """
    if len(set(entities)) > 1:
        raise InvalidArgument(
            "the rows belong to several legal entities",
            field="billing_event_ids",
            advice="propose a write-off for each of them",
        )
    return entities[0]
