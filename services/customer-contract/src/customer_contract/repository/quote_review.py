"""Reviews of quotes as JSON, and the steps that were taken."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain.price_policy import ApproverRole, Breach, PriceRule, ReviewStep
from customer_contract.domain.proposal import Act
from customer_contract.domain.quote import Quote
from customer_contract.domain.quote_review import UNREVIEWED, Review
from customer_contract.domain.values import PricePolicyId, QuoteLineId

Json = dict[str, Any]

ANY_ROLE: Final = "any"
"""Stands in the column for a step that any approver may take."""


def write_review(review: Review) -> Json:
    return {
        "price_policy_id": review.price_policy_id and str(review.price_policy_id),
        "price_policy_version": review.price_policy_version,
        "steps": [_write_step(step) for step in review.steps],
        "breaches": [_write_breach(breach) for breach in review.breaches],
        "exception_role": review.exception_role,
        "accepted": _write_act(review.accepted),
    }


def review_from(item: Mapping[str, Any]) -> Review:
    """Return the review; an offer from before there were policies has none of its own."""
    if not item:
        return UNREVIEWED
    policy, exception = item["price_policy_id"], item["exception_role"]
    return Review(
        price_policy_id=None if policy is None else PricePolicyId(UUID(policy)),
        price_policy_version=item["price_policy_version"],
        steps=tuple(map(_step_from, item["steps"])),
        breaches=tuple(map(_breach_from, item["breaches"])),
        exception_role=None if exception is None else ApproverRole(exception),
        accepted=_act_from(item["accepted"]),
    )


def awaiting(review: Review) -> str | None:
    """Return whose step is open, `ANY_ROLE` where any approver's, None where none is."""
    step = review.next_step
    return None if step is None else step.role or ANY_ROLE


def step_columns(quote: Quote) -> dict[str, object]:
    """Return the step taken last."""
    step = [one for one in quote.review.steps if one.taken is not None][-1]
    assert step.taken is not None
    return {
        "quote_id": quote.quote_id,
        "quote_version": quote.quote_version,
        "step": step.step,
        "role": step.role,
        "name": step.name,
        "approved_by": step.taken.by,
        "approved_at": step.taken.at,
        "comment": step.taken.comment,
    }


async def load(tx: AsyncConnection, query: Select[Any]) -> list[tuple[int, ReviewStep]]:
    """Return the steps the query over `tables.quote_approval` yields, with their quote version."""
    return [
        (
            row.quote_version,
            ReviewStep(
                row.step,
                None if row.role is None else ApproverRole(row.role),
                row.name,
                "",
                Act(row.approved_by, row.approved_at, row.comment),
            ),
        )
        for row in await tx.execute(query)
    ]


def _write_step(step: ReviewStep) -> Json:
    return {
        "step": step.step,
        "role": step.role,
        "name": step.name,
        "reason": step.reason,
        "taken": _write_act(step.taken),
    }


def _step_from(item: Mapping[str, Any]) -> ReviewStep:
    role = item["role"]
    return ReviewStep(
        step=item["step"],
        role=None if role is None else ApproverRole(role),
        name=item["name"],
        reason=item["reason"],
        taken=_act_from(item["taken"]),
    )


def _write_breach(breach: Breach) -> Json:
    return {
        "quote_line_id": str(breach.quote_line_id),
        "position": breach.position,
        "service_code": breach.service_code,
        "rule": breach.rule,
        "actual": breach.actual,
        "limit": breach.limit,
        "role": breach.role,
    }


def _breach_from(item: Mapping[str, Any]) -> Breach:
    return Breach(
        quote_line_id=QuoteLineId(UUID(item["quote_line_id"])),
        position=item["position"],
        service_code=item["service_code"],
        rule=PriceRule(item["rule"]),
        actual=item["actual"],
        limit=item["limit"],
        role=item["role"],
    )


def _write_act(act: Act | None) -> Json | None:
    if act is None:
        return None
    return {"by": act.by, "at": act.at.isoformat(), "comment": act.comment}


def _act_from(item: Mapping[str, str] | None) -> Act | None:
    if item is None:
        return None
    return Act(item["by"], datetime.fromisoformat(item["at"]), item["comment"])
