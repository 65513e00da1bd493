"""Messages of quotes."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from customer_contract.domain.quote import (
    Approval,
    ImportOutcome,
    Quote,
    QuoteApproved,
    QuoteStatus,
    QuoteTerms,
    RejectionCode,
)
from customer_contract.domain.quote_difference import QuoteDifference
from customer_contract.domain.values import CustomerId, LegalEntityId
from customer_contract.wire.service_line import read_offer, write_service_line
from customer_contract.wire.term_change import TERM_CHANGE_KIND
from customer_contract.wire.values import write_source
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import quote_pb2 as pb
from throughline.customer_contract.v1 import quote_service_pb2 as service_pb
from throughline_core.errors import InvalidArgument
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_instant,
    read_optional_date,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
)
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX

QUOTE_STATUS: Final = EnumMap(pb.QuoteStatus, QuoteStatus)
REJECTION_CODE: Final = EnumMap(pb.QuoteRejectionReason, RejectionCode)
IMPORT_OUTCOME: Final = EnumMap(service_pb.ImportOutcome, ImportOutcome)

# What a contract adds to its quote fits into the rest of an event.
_QUOTE_BYTES_MAX: Final = PAYLOAD_BYTES_MAX * 3 // 4


class QuoteTooLarge(InvalidArgument):
    """The offer has more lines and words than fit into one event."""

    code = "quote.too_large"


def read_terms(message: service_pb.QuoteTerms) -> QuoteTerms:
    """Return the offer as asked for."""
    return QuoteTerms(
        customer_id=CustomerId(read_uuid("terms.customer_id", message.customer_id)),
        legal_entity_id=LegalEntityId(read_uuid("terms.legal_entity_id", message.legal_entity_id)),
        currency=message.currency,
        start_on=read_date("terms.start_on", message.start_on),
        end_on=read_date("terms.end_on", message.end_on),
        payment_terms_days=(
            message.payment_terms_days if message.HasField("payment_terms_days") else None
        ),
        purchase_order_number=message.purchase_order_number,
        lines=tuple(
            read_offer(f"terms.lines[{index}]", line) for index, line in enumerate(message.lines)
        ),
        valid_until=read_optional_date("terms.valid_until", message.valid_until),
    )


def content_sha256(message: service_pb.QuoteTerms) -> bytes:
    """Return what tells two offers of one source apart, as they were sent."""
    return sha256(message.SerializeToString(deterministic=True)).digest()


def read_approval(request: service_pb.ImportQuoteRequest) -> Approval | None:
    """Return the other system's approval, None where it has not approved."""
    if not request.HasField("approval"):
        return None
    approval = request.approval
    return Approval(
        f"{request.source.system}:{approval.approver}",
        read_instant("approval.approved_at", approval.approved_at),
    )


def write_quote(quote: Quote) -> pb.Quote:
    approval = quote.approval
    return pb.Quote(
        quote_id=str(quote.quote_id),
        quote_version=quote.quote_version,
        version=quote.version,
        number=quote.number,
        status=QUOTE_STATUS.write(quote.status),
        customer_id=str(quote.customer_id),
        legal_entity_id=str(quote.legal_entity_id),
        currency=quote.currency,
        start_on=write_date(quote.start_on),
        end_on=write_date(quote.end_on),
        payment_terms_days=quote.payment_terms_days,
        lines=map(write_service_line, quote.lines),
        net_total=write_money(quote.net_total),
        approved_by="" if approval is None else approval.by,
        approved_at=None if approval is None else write_instant(approval.at),
        correlation_id=str(quote.correlation_id),
        source=write_source(quote.origin.source),
        purchase_order_number=quote.purchase_order_number,
        proposed_by=quote.origin.proposed_by,
        rejection_reason=quote.rejection_reason,
        valid_until=write_date(quote.valid_until) or None,
        rejection_code=(
            REJECTION_CODE.write(quote.rejection_code)
            if quote.rejection_code
            else pb.QUOTE_REJECTION_REASON_UNSPECIFIED
        ),
    )


def write_differences(
    differences: Iterable[QuoteDifference],
) -> list[service_pb.QuoteDifference]:
    return [
        service_pb.QuoteDifference(
            kind=TERM_CHANGE_KIND.write(one.kind),
            quote_line_id=write_id(one.quote_line_id) or None,
            position=one.position,
            term=one.term,
            old_value=one.old_value,
            new_value=one.new_value,
        )
        for one in differences
    ]


def require_publishable(quote: Quote) -> pb.Quote:
    """Return the offer as a message that leaves room for its contract in one event.

    Raises:
        QuoteTooLarge: it does not.
    """
    message = write_quote(quote)
    size = message.ByteSize()
    if size > _QUOTE_BYTES_MAX:
        raise QuoteTooLarge(
            f"the offer takes {size} bytes, {_QUOTE_BYTES_MAX} are possible",
            field="terms.lines",
            advice="split it into several quotes, or shorten its texts",
        )
    return message


def write_event(event: QuoteApproved) -> Outgoing:
    """Return the event as it is published.

    Raises:
        QuoteTooLarge: see `require_publishable`.
    """
    quote = event.quote
    message = events_pb.QuoteApproved(
        quote=require_publishable(quote), correlation_id=str(quote.correlation_id)
    )
    return Outgoing(message, quote.quote_id, quote.version)
