"""Messages of contracts."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.contract_events import (
    ContractActivated,
    ContractAmended,
    ContractCompleted,
    ContractEvent,
    ContractLimitChanged,
    ContractSigned,
    ContractTerminated,
)
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    InvoiceGrouping,
    LineDetail,
    ReratingPolicy,
)
from customer_contract.domain.readiness import Check, CheckOwner
from customer_contract.domain.values import ContractId, CustomerId, RateCardId
from customer_contract.wire.contract_profile import (
    RERATING_POLICY,
    read_holdback,
    read_payers,
    read_purchase_orders,
    write_holdback,
    write_payer,
    write_purchase_order,
)
from customer_contract.wire.service_line import write_service_line
from customer_contract.wire.term_change import write_changes
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as events_pb
from throughline.customer_contract.v1 import contract_pb2 as pb
from throughline.customer_contract.v1 import contract_service_pb2 as service_pb
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_enum,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_optional_money,
)

CONTRACT_STATUS: Final = EnumMap(pb.ContractStatus, ContractStatus)
INVOICE_GROUPING: Final = EnumMap(pb.InvoiceGrouping, InvoiceGrouping)
LINE_DETAIL: Final = EnumMap(pb.LineDetail, LineDetail)
ROUNDING_MODE: Final = EnumMap(pb.TimeRoundingMode, RoundingMode)

_EVENTS: Final = {
    ContractSigned: events_pb.ContractSigned,
    ContractActivated: events_pb.ContractActivated,
    ContractLimitChanged: events_pb.ContractLimitChanged,
    ContractTerminated: events_pb.ContractTerminated,
    ContractCompleted: events_pb.ContractCompleted,
}


def read_billing(request: service_pb.UpdateDraftContractRequest) -> BillingProfile:
    """Return the terms of a draft that the quote does not fix."""
    rate_card = read_optional_uuid("rate_card_id", request.rate_card_id)
    return BillingProfile(
        bill_to_customer_id=CustomerId(
            read_uuid("bill_to_customer_id", request.bill_to_customer_id)
        ),
        payment_terms_days=request.payment_terms_days,
        purchase_order_number=request.purchase_order_number,
        not_to_exceed=read_optional_money("not_to_exceed", request.not_to_exceed),
        invoice_grouping=read_enum("invoice_grouping", request.invoice_grouping, INVOICE_GROUPING),
        line_detail=read_enum("line_detail", request.line_detail, LINE_DETAIL),
        time_rounding=TimeRounding(
            request.time_rounding_minutes,
            read_enum("time_rounding_mode", request.time_rounding_mode, ROUNDING_MODE),
        ),
        rate_card_id=None if rate_card is None else RateCardId(rate_card),
        purchase_orders=read_purchase_orders("purchase_orders", request.purchase_orders),
        payers=read_payers("payers", request.payers),
        holdback=(
            read_holdback("holdback", request.holdback) if request.HasField("holdback") else None
        ),
        rerating_policy=read_optional_enum(
            "rerating_policy", request.rerating_policy, RERATING_POLICY
        )
        or ReratingPolicy.DEBIT_CREDIT,
    )


def write_contract(contract: Contract) -> pb.Contract:
    billing, signature = contract.billing, contract.signature
    return pb.Contract(
        contract_id=str(contract.contract_id),
        version=contract.version,
        contract_version=contract.contract_version,
        number=contract.number,
        status=CONTRACT_STATUS.write(contract.status),
        engagement_id=str(contract.engagement_id),
        correlation_id=str(contract.correlation_id),
        quote_id=str(contract.quote_id),
        quote_version=contract.quote_version,
        customer_id=str(contract.customer_id),
        bill_to_customer_id=str(billing.bill_to_customer_id),
        legal_entity_id=str(contract.legal_entity_id),
        currency=contract.currency,
        start_on=write_date(contract.start_on),
        end_on=write_date(contract.end_on),
        activated_on=write_date(contract.activated_on) or None,
        payment_terms_days=billing.payment_terms_days,
        purchase_order_number=billing.purchase_order_number,
        lines=map(write_line, contract.lines),
        not_to_exceed=write_optional_money(billing.not_to_exceed),
        invoice_grouping=INVOICE_GROUPING.write(billing.invoice_grouping),
        line_detail=LINE_DETAIL.write(billing.line_detail),
        time_rounding_minutes=billing.time_rounding.increment_minutes,
        time_rounding_mode=ROUNDING_MODE.write(billing.time_rounding.mode),
        rate_card_id=write_id(billing.rate_card_id) or None,
        time_zone=contract.time_zone,
        signed_document_sha256="" if signature is None else signature.document_sha256,
        signatory="" if signature is None else signature.signatory,
        signed_on=None if signature is None else write_date(signature.signed_on),
        terminated_on=write_date(contract.terminated_on) or None,
        termination_reason=contract.termination_reason,
        completed_on=write_date(contract.completed_on) or None,
        purchase_orders=map(write_purchase_order, billing.purchase_orders),
        payers=map(write_payer, billing.payers),
        holdback=None if billing.holdback is None else write_holdback(billing.holdback),
        rerating_policy=RERATING_POLICY.write(billing.rerating_policy),
        change_order_id=write_id(contract.amendment.change_order_id) or None,
        terms_effective_on=write_date(contract.amendment.effective_on) or None,
        activate_when_due=contract.is_activated_when_due,
    )


def write_line(line: ContractLine) -> pb.ContractLine:
    return pb.ContractLine(
        contract_line_id=str(line.contract_line_id),
        terms=write_service_line(line.terms),
        ended_on=write_date(line.ended_on) or None,
        added_by_change_order_id=write_id(line.added_by_change_order_id) or None,
    )


def write_version(contract_version: int, amendment: Amendment) -> service_pb.ContractVersion:
    return service_pb.ContractVersion(
        contract_version=contract_version,
        effective_on=write_date(amendment.effective_on) or None,
        recorded_at=write_instant(amendment.recorded_at),
        recorded_by=amendment.recorded_by,
        reason=amendment.reason,
        change_order_id=write_id(amendment.change_order_id) or None,
    )


def write_readiness(
    contract: Contract, checks: Iterable[Check]
) -> service_pb.CheckReadinessResponse:
    messages = [
        service_pb.ReadinessCheck(
            code=check.code,
            passed=check.passed,
            owner=check.owner,
            advice=check.advice,
            contract_line_ids=map(str, check.contract_line_ids),
            note=check.note,
        )
        for check in checks
    ]
    return service_pb.CheckReadinessResponse(
        contract_id=str(contract.contract_id),
        contract_version=contract.contract_version,
        ready=all(message.passed for message in messages),
        checks=messages,
    )


def write_unknown_contract(contract_id: ContractId) -> service_pb.CheckReadinessResponse:
    """Return the one check that a contract fails which is not there."""
    check = service_pb.ReadinessCheck(
        code="contract.not_found",
        owner=CheckOwner.INTEGRATION,
        advice="customer-contract does not have the contract: look for events that were parked",
    )
    return service_pb.CheckReadinessResponse(contract_id=str(contract_id), checks=[check])


def write_event(event: ContractEvent) -> Outgoing:
    """Return the event as it is published: the terms and the state after it."""
    contract = event.contract
    message = (
        _write_amended(event)
        if isinstance(event, ContractAmended)
        else _EVENTS[type(event)](
            contract=write_contract(contract),
            engagement_id=str(contract.engagement_id),
            correlation_id=str(contract.correlation_id),
        )
    )
    return Outgoing(message, contract.contract_id, contract.version)


def _write_amended(event: ContractAmended) -> events_pb.ContractAmended:
    contract = event.contract
    return events_pb.ContractAmended(
        contract=write_contract(contract),
        engagement_id=str(contract.engagement_id),
        correlation_id=str(contract.correlation_id),
        change_order_id=str(event.change_order_id),
        change_order_number=event.change_order_number,
        changes=write_changes(event.changes),
        retroactive=event.is_retroactive,
    )
