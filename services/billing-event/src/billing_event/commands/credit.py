"""Takes in what credit notes give back: it is open again, or given up."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import claim
from billing_event.commands import record
from billing_event.domain.claim import (
    Claim,
    ClaimBeforeRelease,
    ClaimExceedsOpen,
    ClaimExceedsRow,
    ClaimKind,
)
from billing_event.repository import standing
from throughline_core.errors import Aborted


class CreditBeforeInvoice(Aborted):
    """A credit note gives back what no invoice has billed: that event has to be taken first."""

    code = "allocation.credit_before_invoice"


async def credit(tx: AsyncConnection, claims: Sequence[Claim], *, at: datetime) -> None:
    """Write what issued credit notes gave back of each row; what they gave up is written off.

    What is given back is reserved of its limits again, what is given up is free again. Of a row
    that was taken back while the credit note was on its way all is given back and nothing given up:
    invoice-payment lets it cancel with the row that takes it back.

    Raises:
        BillingEventNotFound: a row is not known here.
        CreditBeforeInvoice: less of a row was billed than is given back.
    """
    given_up = {each.billing_event_id for each in claims if each.kind is ClaimKind.WRITE_OFF}
    if given_up:
        await claim.lock_rows(tx, [each.billing_event_id for each in claims])
        gone = await standing.taken_back(tx, given_up)
        claims = [
            each
            for each in claims
            if each.kind is not ClaimKind.WRITE_OFF or each.billing_event_id not in gone
        ]
    try:
        await record.allocate(tx, claims, at=at)
    except (ClaimBeforeRelease, ClaimExceedsOpen, ClaimExceedsRow) as refusal:
        raise CreditBeforeInvoice(refusal.message, advice=refusal.advice) from refusal
