"""Contracts as rows: where a deal stands, a version of its terms, and its lines."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    ContractLine,
    ContractStatus,
    Holdback,
    InvoiceGrouping,
    LineDetail,
    PayerShare,
    PurchaseOrder,
    ReratingPolicy,
    Signature,
    StateInstants,
)
from customer_contract.domain.values import (
    ContractId,
    ContractLineId,
    CustomerId,
    LegalEntityId,
    QuoteId,
)
from customer_contract.repository.line_terms import amount_text, money_from
from customer_contract.repository.service_line import line_from, line_values
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime.fields import write_date

Json = dict[str, Any]


def state_columns(contract: Contract) -> dict[str, object]:
    signature = contract.signature
    return {
        "version": contract.version,
        "contract_version": contract.contract_version,
        "status": contract.status,
        "quote_version": contract.quote_version,
        "customer_id": contract.customer_id,
        "legal_entity_id": contract.legal_entity_id,
        "currency": contract.currency,
        "time_zone": contract.time_zone,
        "document_sha256": signature and signature.document_sha256,
        "signatory": signature and signature.signatory,
        "signed_on": signature and signature.signed_on,
        "activated_on": contract.activated_on,
        "terminated_on": contract.terminated_on,
        "termination_reason": contract.termination_reason,
        "completed_on": contract.completed_on,
        "activate_when_due": contract.is_activated_when_due,
        "activated_at": contract.learned.activated_at,
        "ended_at": contract.learned.ended_at,
    }


def terms_columns(contract: Contract) -> dict[str, object]:
    billing = contract.billing
    return {
        "contract_id": contract.contract_id,
        "contract_version": contract.contract_version,
        "start_on": contract.start_on,
        "end_on": contract.end_on,
        "bill_to_customer_id": billing.bill_to_customer_id,
        "payment_terms_days": billing.payment_terms_days,
        "purchase_order_number": billing.purchase_order_number,
        "not_to_exceed": billing.not_to_exceed and billing.not_to_exceed.amount,
        "invoice_grouping": billing.invoice_grouping,
        "line_detail": billing.line_detail,
        "time_rounding_minutes": billing.time_rounding.increment_minutes,
        "time_rounding_mode": billing.time_rounding.mode,
        "rate_card_id": billing.rate_card_id,
        "purchase_orders": [_write_order(one) for one in billing.purchase_orders],
        "payers": [_write_payer(one) for one in billing.payers],
        "holdback_percent": billing.holdback and billing.holdback.percent,
        "holdback_due_on": billing.holdback and billing.holdback.due_on,
        "rerating_policy": billing.rerating_policy,
        **amendment_columns(contract.amendment),
    }


def amendment_columns(amendment: Amendment) -> dict[str, object]:
    return {
        "effective_on": amendment.effective_on,
        "reason": amendment.reason,
        "recorded_by": amendment.recorded_by,
        "recorded_at": amendment.recorded_at,
        "change_order_id": amendment.change_order_id,
    }


def terms_parameters(contract: Contract) -> dict[str, object]:
    """Return `terms_columns` for a statement that is text: lists as JSON."""
    columns = terms_columns(contract)
    return columns | {name: json.dumps(columns[name]) for name in ("purchase_orders", "payers")}


def line_columns(contract: Contract) -> dict[str, object]:
    return {
        "contract_id": contract.contract_id,
        "contract_version": contract.contract_version,
        "line_contract_line_id": [line.contract_line_id for line in contract.lines],
        "line_ended_on": [line.ended_on for line in contract.lines],
        "line_added_by_change_order_id": [line.added_by_change_order_id for line in contract.lines],
        **line_values([line.terms for line in contract.lines]),
    }


def contract_from(row: Row[Any], lines: Iterable[Row[Any]]) -> Contract:
    return Contract(
        contract_id=ContractId(row.contract_id),
        version=row.version,
        contract_version=row.contract_version,
        number=row.number,
        status=ContractStatus(row.status),
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        quote_id=QuoteId(row.quote_id),
        quote_version=row.quote_version,
        customer_id=CustomerId(row.customer_id),
        legal_entity_id=LegalEntityId(row.legal_entity_id),
        currency=row.currency,
        time_zone=row.time_zone,
        start_on=row.start_on,
        end_on=row.end_on,
        lines=tuple(_line_from(line, row.currency) for line in lines),
        billing=_billing_from(row),
        amendment=amendment_from(row),
        signature=(
            None
            if row.signed_on is None
            else Signature(row.document_sha256, row.signatory, row.signed_on)
        ),
        activated_on=row.activated_on,
        terminated_on=row.terminated_on,
        termination_reason=row.termination_reason,
        completed_on=row.completed_on,
        is_activated_when_due=row.activate_when_due,
        learned=StateInstants(row.activated_at, row.ended_at),
    )


def amendment_from(row: Row[Any]) -> Amendment:
    return Amendment(
        row.recorded_by, row.recorded_at, row.effective_on, row.reason, row.change_order_id
    )


def _line_from(row: Row[Any], currency: str) -> ContractLine:
    return ContractLine(
        ContractLineId(row.contract_line_id),
        line_from(row, currency),
        row.ended_on,
        row.added_by_change_order_id,
    )


def _billing_from(row: Row[Any]) -> BillingProfile:
    limit, percent = row.not_to_exceed, row.holdback_percent
    return BillingProfile(
        bill_to_customer_id=CustomerId(row.bill_to_customer_id),
        payment_terms_days=row.payment_terms_days,
        purchase_order_number=row.purchase_order_number,
        not_to_exceed=None if limit is None else Money(limit, row.currency),
        invoice_grouping=InvoiceGrouping(row.invoice_grouping),
        line_detail=LineDetail(row.line_detail),
        time_rounding=TimeRounding(row.time_rounding_minutes, RoundingMode(row.time_rounding_mode)),
        rate_card_id=row.rate_card_id,
        purchase_orders=tuple(_order_from(item, row.currency) for item in row.purchase_orders),
        payers=tuple(_payer_from(item, row.currency) for item in row.payers),
        holdback=None if percent is None else Holdback(percent, row.holdback_due_on),
        rerating_policy=ReratingPolicy(row.rerating_policy),
    )


def _write_order(order: PurchaseOrder) -> Json:
    return {
        "number": order.number,
        "valid_from": write_date(order.valid_from),
        "valid_to": write_date(order.valid_to) or None,
        "amount": amount_text(order.amount),
        "contract_line_ids": [str(line_id) for line_id in order.contract_line_ids],
    }


def _order_from(item: Mapping[str, Any], currency: str) -> PurchaseOrder:
    valid_to = item["valid_to"]
    return PurchaseOrder(
        number=item["number"],
        valid_from=date.fromisoformat(item["valid_from"]),
        valid_to=None if valid_to is None else date.fromisoformat(valid_to),
        amount=money_from(item["amount"], currency),
        contract_line_ids=tuple(
            ContractLineId(UUID(line_id)) for line_id in item["contract_line_ids"]
        ),
    )


def _write_payer(payer: PayerShare) -> Json:
    return {
        "customer_id": str(payer.customer_id),
        "share_percent": format(payer.share_percent, "f"),
        "is_rounding_payer": payer.is_rounding_payer,
        "not_to_exceed": amount_text(payer.not_to_exceed),
        "purchase_order_number": payer.purchase_order_number,
        "amount": amount_text(payer.amount),
    }


def _payer_from(item: Mapping[str, Any], currency: str) -> PayerShare:
    return PayerShare(
        customer_id=CustomerId(UUID(item["customer_id"])),
        share_percent=Decimal(item["share_percent"]),
        is_rounding_payer=item["is_rounding_payer"],
        not_to_exceed=money_from(item["not_to_exceed"], currency),
        purchase_order_number=item["purchase_order_number"],
        # Payers kept before there were amounts have none.
        amount=money_from(item.get("amount"), currency),
    )
