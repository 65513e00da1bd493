"""Messages of change orders."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.change_order_content import (
    AddedLine,
    ChangeOrderContent,
    ContentOffer,
    EndedLine,
    HoldbackChange,
    LimitMove,
    OfferedLine,
    contract_line_id_of,
)
from customer_contract.domain.change_order_record import (
    ChangeOrder,
    ChangeOrderApproved,
    ChangeOrderStatus,
    Comparison,
)
from customer_contract.domain.contract_terms import Contract, Signature
from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.term_change import TermChange
from customer_contract.domain.values import ContractId, ContractLineId, CustomerId
from customer_contract.wire.altered_line import read_altered, write_altered
from customer_contract.wire.contract_profile import (
    read_holdback,
    read_payers,
    read_purchase_orders,
    write_holdback,
    write_payer,
    write_purchase_order,
)
from customer_contract.wire.service_line import (
    read_offer,
    read_service_line,
    write_offer,
    write_service_line,
)
from customer_contract.wire.term_change import write_changes
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_optional_date,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
    write_optional_money,
)

CHANGE_ORDER_STATUS: Final = EnumMap(pb.ChangeOrderStatus, ChangeOrderStatus)


def read_content_offer(message: pb.ChangeOrderContent) -> ContentOffer:
    """Return the content as it is asked for, its added lines still to be completed."""
    added = tuple(
        OfferedLine(line.key, read_offer(f"content.added_lines[{index}].terms", line.terms))
        for index, line in enumerate(message.added_lines)
    )
    return ContentOffer(added, _read_rest(message))


def read_content(message: pb.ChangeOrderContent) -> ChangeOrderContent:
    """Return the content that `write_content` wrote."""
    added = tuple(AddedLine(one.key, read_service_line(one.line)) for one in message.added_lines)
    rest = _read_rest(message)
    return ChangeOrderContent(
        added=added,
        altered=rest.altered,
        ended=rest.ended,
        limit=rest.limit,
        purchase_orders=rest.purchase_orders,
        payers=rest.payers,
        holdback=rest.holdback,
        end_on=rest.end_on,
        bill_to_customer_id=rest.bill_to_customer_id,
    )


def _read_rest(message: pb.ChangeOrderContent) -> ChangeOrderContent:
    holdback = message.holdback
    return ChangeOrderContent(
        altered=tuple(
            read_altered(f"content.altered_lines[{index}]", line)
            for index, line in enumerate(message.altered_lines)
        ),
        ended=tuple(
            _read_ended(f"content.ended_lines[{index}]", line)
            for index, line in enumerate(message.ended_lines)
        ),
        limit=(
            LimitMove(
                read_optional_money("content.limit.not_to_exceed", message.limit.not_to_exceed)
            )
            if message.HasField("limit")
            else None
        ),
        purchase_orders=(
            read_purchase_orders(
                "content.purchase_orders.purchase_orders", message.purchase_orders.purchase_orders
            )
            if message.HasField("purchase_orders")
            else None
        ),
        payers=(
            read_payers("content.payers.payers", message.payers.payers)
            if message.HasField("payers")
            else None
        ),
        holdback=(
            HoldbackChange(
                read_holdback("content.holdback.holdback", holdback.holdback)
                if holdback.HasField("holdback")
                else None
            )
            if message.HasField("holdback")
            else None
        ),
        end_on=read_optional_date("content.end_on", message.end_on),
        bill_to_customer_id=_read_bill_to(message.bill_to_customer_id),
    )


def _read_bill_to(value: str) -> CustomerId | None:
    found = read_optional_uuid("content.bill_to_customer_id", value)
    return None if found is None else CustomerId(found)


def _read_ended(field: str, message: pb.EndedLine) -> EndedLine:
    return EndedLine(
        ContractLineId(read_uuid(f"{field}.contract_line_id", message.contract_line_id)),
        read_optional_date(f"{field}.ended_on", message.ended_on),
    )


def write_content(content: ChangeOrderContent, contract_id: ContractId) -> pb.ChangeOrderContent:
    orders, payers, holdback = content.purchase_orders, content.payers, content.holdback
    return pb.ChangeOrderContent(
        added_lines=[_write_added(one.key, one.line, contract_id) for one in content.added],
        altered_lines=map(write_altered, content.altered),
        ended_lines=[
            pb.EndedLine(
                contract_line_id=str(one.contract_line_id),
                ended_on=write_date(one.ended_on) or None,
            )
            for one in content.ended
        ],
        limit=(
            None
            if content.limit is None
            else pb.LimitMove(not_to_exceed=write_optional_money(content.limit.limit))
        ),
        purchase_orders=(
            None
            if orders is None
            else pb.PurchaseOrders(purchase_orders=map(write_purchase_order, orders))
        ),
        payers=None if payers is None else pb.Payers(payers=map(write_payer, payers)),
        holdback=(
            None
            if holdback is None
            else pb.HoldbackChange(
                holdback=(None if holdback.holdback is None else write_holdback(holdback.holdback))
            )
        ),
        end_on=write_date(content.end_on) or None,
        bill_to_customer_id=write_id(content.bill_to_customer_id) or None,
    )


def _write_added(key: str, line: ServiceLine, contract_id: ContractId) -> pb.AddedLine:
    message = write_service_line(line)
    return pb.AddedLine(
        key=key,
        terms=write_offer(message),
        contract_line_id=str(contract_line_id_of(contract_id, line.quote_line_id)),
        line=message,
    )


def read_signature(message: pb.ChangeOrderSignature) -> Signature:
    return Signature(
        message.document_sha256,
        message.signatory,
        read_date("signature.signed_on", message.signed_on),
    )


def write_change_order(change_order: ChangeOrder) -> pb.ChangeOrder:
    approval, application = change_order.approval, change_order.application
    return pb.ChangeOrder(
        change_order_id=str(change_order.change_order_id),
        version=change_order.version,
        number=change_order.number,
        contract_id=str(change_order.contract_id),
        legal_entity_id=str(change_order.legal_entity_id),
        status=CHANGE_ORDER_STATUS.write(change_order.status),
        reason=change_order.reason,
        effective_on=write_date(change_order.effective_on),
        content=write_content(change_order.content, change_order.contract_id),
        drafted_by=change_order.drafted_by,
        proposed_by=change_order.proposed_by or "",
        approved_by="" if approval is None else approval.by,
        approved_at=None if approval is None else write_instant(approval.at),
        signature=(
            None
            if approval is None
            else pb.ChangeOrderSignature(
                signatory=approval.signature.signatory,
                signed_on=write_date(approval.signature.signed_on),
                document_sha256=approval.signature.document_sha256,
            )
        ),
        approved_contract_version=0 if approval is None else approval.contract_version,
        contract_versions=() if application is None else application.contract_versions,
        applied_at=None if application is None else write_instant(application.at),
        closing_reason=change_order.closing_reason,
    )


def write_comparison(
    change_order: ChangeOrder, comparison: Comparison, conflicts: Iterable[TermChange]
) -> pb.CompareChangeOrderResponse:
    before, after = comparison.before, comparison.after
    return pb.CompareChangeOrderResponse(
        change_order_id=str(change_order.change_order_id),
        contract_version=before.contract_version,
        changes=write_changes(comparison.changes),
        totals=[
            pb.ChangedTotal(
                before=write_money(_total(before)),
                after=write_money(_total(after)),
            ),
            *_line_totals(before, after),
        ],
        conflicts=write_changes(conflicts),
    )


def _total(contract: Contract) -> Money:
    return Money.total((line.terms.net_total for line in contract.lines), contract.currency)


def _line_totals(before: Contract, after: Contract) -> Iterable[pb.ChangedTotal]:
    for line in after.lines:
        former = before.line(line.contract_line_id)
        if former is None or former.terms.net_total != line.terms.net_total:
            yield pb.ChangedTotal(
                contract_line_id=str(line.contract_line_id),
                before=None if former is None else write_money(former.terms.net_total),
                after=write_money(line.terms.net_total),
            )


def write_event(event: ChangeOrderApproved) -> Outgoing:
    """Return the approval as it is published."""
    change_order = event.change_order
    assert change_order.approval is not None, "an approved change order has an approval"
    message = events_pb.ChangeOrderApproved(
        change_order_id=str(change_order.change_order_id),
        version=change_order.version,
        number=change_order.number,
        contract_id=str(change_order.contract_id),
        legal_entity_id=str(change_order.legal_entity_id),
        effective_on=write_date(change_order.effective_on),
        changes=write_changes(event.changes),
        approved_by=change_order.approval.by,
        approved_at=write_instant(change_order.approval.at),
        engagement_id=str(change_order.engagement_id),
        correlation_id=str(change_order.correlation_id),
    )
    return Outgoing(message, change_order.change_order_id, change_order.version)
