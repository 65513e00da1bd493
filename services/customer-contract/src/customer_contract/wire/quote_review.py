"""Messages of how an offer stands towards the price policy."""

from typing import Final

from customer_contract.domain.price_policy import ApproverRole, PriceRule, ReviewStep
from customer_contract.domain.quote_review import Review
from customer_contract.wire.price_policy import APPROVER_ROLE
from throughline.customer_contract.v1 import price_policy_service_pb2 as policy_pb
from throughline.customer_contract.v1 import quote_service_pb2 as service_pb
from throughline_runtime.fields import EnumMap, write_id, write_instant
from throughline_runtime.identity import Caller

PRICE_RULE: Final = EnumMap(service_pb.PriceRule, PriceRule)


def roles_of(caller: Caller) -> frozenset[ApproverRole]:
    """Return in which roles the caller may approve offers."""
    return frozenset(role for role in ApproverRole if f"ROLE_{role.name}" in caller.roles)


def write_review(review: Review) -> service_pb.QuoteReview:
    accepted = review.accepted
    return service_pb.QuoteReview(
        price_policy_id=write_id(review.price_policy_id) or None,
        price_policy_version=review.price_policy_version,
        steps=map(_write_step, review.steps),
        breaches=[
            service_pb.PriceBreach(
                quote_line_id=str(breach.quote_line_id),
                position=breach.position,
                service_code=breach.service_code,
                rule=PRICE_RULE.write(breach.rule),
                actual=breach.actual,
                limit=breach.limit,
                role=breach.role,
            )
            for breach in review.breaches
        ],
        breaches_accepted_by="" if accepted is None else accepted.by,
        breaches_accepted_at=None if accepted is None else write_instant(accepted.at),
        breaches_accepted_comment="" if accepted is None else accepted.comment,
    )


def _write_step(step: ReviewStep) -> service_pb.ReviewStep:
    taken = step.taken
    return service_pb.ReviewStep(
        step=step.step,
        role=_write_role(step.role),
        name=step.name,
        reason=step.reason,
        approved_by="" if taken is None else taken.by,
        approved_at=None if taken is None else write_instant(taken.at),
        comment="" if taken is None else taken.comment,
    )


def _write_role(role: ApproverRole | None) -> "policy_pb.ApproverRole.ValueType":
    return APPROVER_ROLE.write(role) if role else policy_pb.APPROVER_ROLE_UNSPECIFIED


def write_approval(quote_version: int, step: ReviewStep) -> service_pb.QuoteApprovalRecord:
    """Return a step that was taken."""
    assert step.taken is not None
    return service_pb.QuoteApprovalRecord(
        quote_version=quote_version,
        step=step.step,
        role=_write_role(step.role),
        name=step.name,
        approved_by=step.taken.by,
        approved_at=write_instant(step.taken.at),
        comment=step.taken.comment,
    )
