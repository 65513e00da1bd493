"""The terms of contracts and quotes, as customer-contract says them."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from project_provisioning.domain.terms import SoldLine, SoldMilestone, SoldRole, Terms
from project_provisioning.wire.template import BILLING_MODELS
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    read_enum,
    read_money,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)


def read_terms(contract: contract_pb2.Contract) -> Terms:
    """Return what delivery needs of a contract."""
    seller = read_uuid("contract.legal_entity_id", contract.legal_entity_id)
    customer_id = read_uuid("contract.customer_id", contract.customer_id)
    term = _read_term("contract", contract.start_on, contract.end_on)
    return Terms(
        contract_id=read_uuid("contract.contract_id", contract.contract_id),
        contract_version=max(contract.contract_version, 1),
        contract_number=contract.number,
        engagement_id=read_uuid("contract.engagement_id", contract.engagement_id),
        correlation_id=read_uuid("contract.correlation_id", contract.correlation_id),
        customer_id=customer_id,
        bill_to_customer_id=read_optional_uuid(
            "contract.bill_to_customer_id", contract.bill_to_customer_id
        )
        or customer_id,
        legal_entity_id=seller,
        currency=contract.currency,
        time_zone=contract.time_zone,
        starts_on=term[0],
        ends_on=term[1],
        lines=tuple(
            _read_line(
                line.terms,
                read_uuid("contract_line_id", line.contract_line_id),
                seller=seller,
                term=term,
                ended_on=read_optional_date("ended_on", line.ended_on),
            )
            for line in contract.lines
        ),
    )


def read_offer(quote: quote_pb2.Quote) -> Terms:
    """Return what a contract made of the quote would deliver; the quote's ids stand in for its."""
    quote_id = read_uuid("quote.quote_id", quote.quote_id)
    seller = read_uuid("quote.legal_entity_id", quote.legal_entity_id)
    customer_id = read_uuid("quote.customer_id", quote.customer_id)
    correlation_id = read_uuid("quote.correlation_id", quote.correlation_id)
    term = _read_term("quote", quote.start_on, quote.end_on)
    return Terms(
        contract_id=quote_id,
        contract_version=1,
        contract_number=quote.number,
        engagement_id=correlation_id,
        correlation_id=correlation_id,
        customer_id=customer_id,
        bill_to_customer_id=customer_id,
        legal_entity_id=seller,
        currency=quote.currency,
        time_zone="",
        starts_on=term[0],
        ends_on=term[1],
        lines=tuple(
            _read_line(
                line,
                read_uuid("quote_line_id", line.quote_line_id),
                seller=seller,
                term=term,
                ended_on=None,
            )
            for line in quote.lines
        ),
    )


def _read_line(
    terms: quote_pb2.ServiceLine,
    contract_line_id: UUID,
    *,
    seller: UUID,
    term: tuple[date, date],
    ended_on: date | None,
) -> SoldLine:
    deliverer = terms.delivering_legal_entity_id
    return SoldLine(
        contract_line_id=contract_line_id,
        quote_line_id=read_uuid("terms.quote_line_id", terms.quote_line_id),
        position=terms.position,
        description=terms.description,
        billing_model=read_enum("terms.billing_model", terms.billing_model, BILLING_MODELS),
        template_code=terms.template_code,
        quantity=read_decimal("terms.quantity", terms.quantity, places=4),
        net_total=read_money("terms.net_total", terms.net_total),
        milestones=tuple(map(_read_milestone, terms.milestones)),
        roles=tuple(_read_roles(terms.rates)),
        starts_on=read_optional_date("terms.start_on", terms.start_on) or term[0],
        ends_on=read_optional_date("terms.end_on", terms.end_on) or term[1],
        legal_entity_id=read_optional_uuid("delivering_legal_entity_id", deliverer) or seller,
        region=terms.region,
        billed_by_milestones=(
            terms.fixed_fee_billing != quote_pb2.FIXED_FEE_BILLING_PERCENT_COMPLETE
        ),
        cost_budget=(
            read_money("terms.cost_budget", terms.cost_budget)
            if terms.HasField("cost_budget")
            else None
        ),
        ended_on=ended_on,
    )


def _read_milestone(plan: quote_pb2.MilestonePlan) -> SoldMilestone:
    share = plan.share_percent
    return SoldMilestone(
        key=plan.key,
        name=plan.name,
        share_percent=read_decimal("share_percent", share, places=4) if share else None,
        due_on=read_optional_date("due_on", plan.due_on),
        amount=read_money("amount", plan.amount) if plan.HasField("amount") else None,
    )


def _read_roles(rates: Iterable[quote_pb2.LineRate]) -> Iterable[SoldRole]:
    for rate in rates:
        yield SoldRole(
            rate.role,
            read_decimal("planned_hours", rate.planned_hours or "0", places=2),
            read_optional_uuid("person_id", rate.person_id),
        )


def _read_term(owner: str, start_on: str, end_on: str) -> tuple[date, date]:
    return read_date(f"{owner}.start_on", start_on), read_date(f"{owner}.end_on", end_on)
