"""Credits: what of an invoice is left to take back, and what of it is chosen."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from invoice_payment.domain.invoice import Invoice, InvoiceStatus
from invoice_payment.domain.item import Treatment
from invoice_payment.domain.line import Disposition
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.money import RATE_PLACES, Money
from throughline_core.period import Period
from throughline_core.rounding import round_half_away

_CREDITABLE: Final = frozenset(
    {
        InvoiceStatus.ISSUED,
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.PAID,
        InvoiceStatus.CREDITED,
    }
)

_TAKEN_BACK: Final = (
    "a correction took the work back: it is a credit on the next invoice; or draft a credit note"
    " over the open items of the contract"
)


class InvoiceNotIssued(FailedPrecondition):
    """A draft is voided, and a credit note is not credited."""

    code = "credit.invoice_not_issued"


class LineUnknown(InvalidArgument):
    """The invoice has no such line."""

    code = "credit.line_unknown"


class ItemUnknown(InvalidArgument):
    """The line does not bill this item."""

    code = "credit.item_unknown"


class QuantityInvalid(InvalidArgument):
    """Nothing, or the other sign."""

    code = "credit.quantity_invalid"


class ExceedsCreditable(FailedPrecondition):
    """More than what other credit notes have left."""

    code = "credit.exceeds_creditable"


class NothingLeft(FailedPrecondition):
    """Credit notes have taken all of it."""

    code = "credit.nothing_left"


class PrepaymentGivenUp(FailedPrecondition):
    """Paid in advance, it is owed rather than delivered: work would go on drawing on it."""

    code = "credit.prepayment_given_up"


class GivenUpTwice(FailedPrecondition):
    """The item was written off after it was billed: a credit note only takes the bill back."""

    code = "credit.given_up_twice"


class TakenBackMeanwhile(FailedPrecondition):
    """A released row takes back by itself what the credit note was drafted to give up."""

    code = "credit.taken_back_meanwhile"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an invoice line billed of an item, and what credit notes took of it, drafts included.

    All of one sign. `is_taken_back` when a released row takes the item back by itself: that row is
    a credit of its own, and a credit note over the item too would give twice. `is_written_off` when
    its owner gave it up after it was billed.
    """

    billing_event_id: UUID
    portion: int
    source_item_id: UUID
    invoice_line_id: UUID
    quantity: Decimal
    unit_rate: Money
    amount: Money
    recognised: Money
    service: Period
    credited_quantity: Decimal
    credited_amount: Money
    credited_recognised: Money
    is_taken_back: bool = False
    is_written_off: bool = False

    @property
    def left(self) -> Decimal:
        """How much of it can still be credited."""
        return Decimal(0) if self.is_taken_back else self.quantity - self.credited_quantity


@dataclass(frozen=True, slots=True)
class WantedItem:
    """An item to credit; None = all that is left of it."""

    billing_event_id: UUID
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class WantedLine:
    """A line to credit; no items = all that is left of it, no disposition = the document's."""

    invoice_line_id: UUID
    disposition: Disposition | None = None
    items: tuple[WantedItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What a credit note takes of one claim, with the sign of the claim."""

    claim: Claimed
    quantity: Decimal
    amount: Money
    recognised: Money
    disposition: Disposition


def choose(
    invoice: Invoice,
    claims: Sequence[Claimed],
    wanted: Sequence[WantedLine],
    disposition: Disposition,
) -> list[Part]:
    """Return what to take of an issued invoice: of chosen lines and items, or all that is left.

    Raises:
        InvoiceNotIssued, LineUnknown, ItemUnknown, QuantityInvalid, ExceedsCreditable, NothingLeft:
            why it cannot be.
        PrepaymentGivenUp, GivenUpTwice: see `require_givable`.
    """
    if invoice.is_credit_note or invoice.status not in _CREDITABLE:
        raise InvoiceNotIssued(
            f"{invoice.document_type.replace('_', ' ')} {invoice.invoice_id} is {invoice.status}",
            field="invoice_id",
            advice="credit an issued invoice; void what is not issued yet",
        )
    of_line: dict[UUID, list[Claimed]] = defaultdict(list)
    for claim in claims:
        of_line[claim.invoice_line_id].append(claim)
    known = {line.invoice_line_id for line in invoice.lines}
    parts: dict[tuple[UUID, int], Part] = {}
    for line in wanted or [WantedLine(line_id) for line_id in of_line]:
        if line.invoice_line_id not in known:
            raise LineUnknown(
                f"the invoice has no line {line.invoice_line_id}",
                field="lines.invoice_line_id",
                advice="list the lines of the invoice, and name one of them",
            )
        chosen = _parts_of(line, of_line[line.invoice_line_id], line.disposition or disposition)
        for part in chosen:
            key = (part.claim.billing_event_id, part.claim.portion)
            if key in parts:
                raise ExceedsCreditable(
                    f"billing event {key[0]} is named twice",
                    field="lines",
                    advice="name each line and each item once",
                )
            parts[key] = part
    if not parts:
        asked = {line.invoice_line_id for line in wanted} or known
        raise NothingLeft(
            f"nothing is left to credit of invoice {invoice.invoice_id}",
            field="lines" if wanted else "invoice_id",
            advice=_TAKEN_BACK
            if any(_is_taken_back(claim) for line_id in asked for claim in of_line[line_id])
            else "list the credit notes of the invoice; void one that is not issued to redo it",
        )
    given_up = [part.claim for part in parts.values() if part.disposition is Disposition.WRITE_OFF]
    require_givable(invoice, given_up)
    return list(parts.values())


def require_givable(invoice: Invoice, given_up: Sequence[Claimed]) -> None:
    """Check that a credit note may give up what an invoice billed, and not only return it.

    Raises:
        PrepaymentGivenUp: work draws on it.
        GivenUpTwice: its owner wrote it off.
        TakenBackMeanwhile: another row credits it.
    """
    treatments = {line.invoice_line_id: line.treatment for line in invoice.lines}
    for claim in given_up:
        if treatments[claim.invoice_line_id] is Treatment.PREPAYMENT:
            raise PrepaymentGivenUp(
                f"billing event {claim.billing_event_id} is paid in advance: work draws on it",
                field="disposition",
                advice="credit it with return_to_unbilled; for good, end the retainer by a change"
                " order, or agree an adjustment below zero",
            )
        if claim.is_written_off:
            raise GivenUpTwice(
                f"billing event {claim.billing_event_id} is written off already",
                field="disposition",
                advice="credit it with return_to_unbilled: it is not billed again",
            )
        if claim.is_taken_back:
            raise TakenBackMeanwhile(
                f"billing event {claim.billing_event_id} was taken back since, and is credited so",
                field="credit_note_id",
                advice="void the credit note, and draft it anew for what is left",
            )


def _parts_of(line: WantedLine, claims: Sequence[Claimed], disposition: Disposition) -> list[Part]:
    if not line.items:
        return [_part(claim, claim.left, disposition) for claim in claims if claim.left]
    of_item: dict[UUID, list[Claimed]] = defaultdict(list)
    for claim in claims:
        of_item[claim.billing_event_id].append(claim)
    return [
        part
        for item in line.items
        for part in _parts_of_item(item, of_item[item.billing_event_id], disposition)
    ]


def _parts_of_item(
    item: WantedItem, claims: Sequence[Claimed], disposition: Disposition
) -> list[Part]:
    """Return what to take of an item; it stands on a line in several portions at most rarely."""
    if not claims:
        raise ItemUnknown(
            f"the line does not bill {item.billing_event_id}",
            field="lines.items.billing_event_id",
            advice="list the items of the invoice, and name one of this line's",
        )
    left = sum((claim.left for claim in claims), Decimal(0))
    wanted = left if item.quantity is None else item.quantity
    is_negative = claims[0].quantity < 0
    if item.quantity is not None and (wanted == 0 or (wanted < 0) != is_negative):
        raise QuantityInvalid(
            f"{wanted} of {item.billing_event_id} is no credit",
            field="lines.items.quantity",
            advice="send a quantity of the invoice's sign, or none to credit all that is left",
        )
    if wanted == 0 or abs(wanted) > abs(left):
        raise ExceedsCreditable(
            f"of {item.billing_event_id} only {left} are left to credit",
            field="lines.items.quantity",
            advice=_TAKEN_BACK
            if any(map(_is_taken_back, claims))
            else "credit at most that; list the invoice's items to see what was credited",
        )
    parts = []
    for claim in claims:
        share = min(abs(wanted), abs(claim.left)).copy_sign(claim.quantity)
        if share:
            parts.append(_part(claim, share, disposition))
            wanted -= share
    return parts


def _is_taken_back(claim: Claimed) -> bool:
    return claim.is_taken_back and claim.quantity != claim.credited_quantity


def _part(claim: Claimed, quantity: Decimal, disposition: Disposition) -> Part:
    """Return what to take of a claim; the last part takes the exact rest."""
    if quantity == claim.left:
        return Part(
            claim,
            quantity,
            claim.amount - claim.credited_amount,
            claim.recognised - claim.credited_recognised,
            disposition,
        )
    exact = claim.unit_rate * quantity
    amount = Money(round_half_away(exact.amount, RATE_PLACES), exact.currency)
    return Part(claim, quantity, amount, amount.rounded(), disposition)
