"""Credit notes of one invoice, drafted one after the other without a database."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from invoice_payment_builders import APPROVER, DRAFTED_AT, an_id

from invoice_payment.domain.credit import Claimed, WantedLine, choose
from invoice_payment.domain.credit_note import Request, Taken, draft_credit_note
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.issue import printed
from invoice_payment.domain.line import Disposition, Line
from throughline_core.money import Money

RETURN: Final = Disposition.RETURN_TO_UNBILLED
REQUEST: Final = Request(an_id("1ab"), "agreed with the client", APPROVER, DRAFTED_AT)


def claim_of(line: Line, quantity: Decimal, suffix: str) -> Claimed:
    """Return the claim of an item on a line, with nothing credited so far."""
    amount = line.unit_rate * quantity
    zero = Money.zero(amount.currency)
    return Claimed(
        billing_event_id=an_id(f"18{suffix}"),
        portion=0,
        source_item_id=an_id(f"15{suffix}"),
        invoice_line_id=line.invoice_line_id,
        quantity=quantity,
        unit_rate=line.unit_rate,
        amount=amount,
        recognised=amount.rounded(),
        service=line.service,
        credited_quantity=Decimal(0),
        credited_amount=zero,
        credited_recognised=zero,
    )


def claims_of(invoice: Invoice) -> list[Claimed]:
    """Return one claim for each line."""
    return [claim_of(line, line.quantity, str(line.position)) for line in invoice.lines]


class Credits:
    """The credit notes of one invoice, one after the other."""

    def __init__(self, invoice: Invoice, claims: Sequence[Claimed] | None = None) -> None:
        self.invoice = invoice
        self.claims = claims_of(invoice) if claims is None else list(claims)
        self.notes: list[Invoice] = []

    def credit(
        self, *lines: WantedLine, disposition: Disposition = RETURN, **values: Any
    ) -> Invoice:
        parts = choose(self.invoice, self.claims, lines, disposition)
        request = replace(REQUEST, credit_note_id=an_id(f"1a{len(self.notes) + 2}"), **values)
        note = draft_credit_note(self.invoice, self.claims, self._taken(), parts, request)
        taken = {part.claim.billing_event_id: part for part in parts}
        self.claims = [
            replace(
                claim,
                credited_quantity=claim.credited_quantity + part.quantity,
                credited_amount=claim.credited_amount + part.amount,
                credited_recognised=claim.credited_recognised + part.recognised,
            )
            if (part := taken.get(claim.billing_event_id))
            else claim
            for claim in self.claims
        ]
        self.notes.append(note)
        return note

    def _taken(self) -> Taken:
        zero = Money.zero(self.invoice.currency)
        nets: dict[UUID, Money] = {}
        groups: dict[tuple[str, Decimal], tuple[Money, Money]] = {}
        for note in map(printed, self.notes):
            for line in note.lines:
                assert line.credits_line_id is not None
                before = nets.get(line.credits_line_id, zero)
                nets[line.credits_line_id] = before + line.net
            for group in note.totals.groups:
                key = (group.tax_code, group.rate_percent)
                base, tax = groups.get(key, (zero, zero))
                groups[key] = (base + group.base, tax + group.tax)
        return Taken(nets, groups)
