"""Policies of the checkpoint, as they are listed, read and replied."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.release import ReleasePolicy, ReleaseRule
from billing_event.domain.source import ContractId, LegalEntityId
from billing_event.repository.policy import policy_from
from billing_event.wire.published import TYPES
from throughline.billing_event.v1 import release_policy_service_pb2 as pb
from throughline_runtime.fields import (
    read_enum,
    read_money,
    read_optional_uuid,
    read_uuid,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page, next_token

_POLICY: Final = tables.release_policy


async def release_policies(
    tx: AsyncConnection, page: Page, *, legal_entity_ids: Collection[UUID] | None
) -> pb.ListReleasePoliciesResponse:
    """Return a page of the policies that were set."""
    query = select(_POLICY)
    if legal_entity_ids is not None:
        query = query.where(_POLICY.c.legal_entity_id.in_(legal_entity_ids))
    if page.after is not None:
        query = query.where(_POLICY.c.legal_entity_id > read_uuid("page_token", page.after[0]))
    ordered = query.order_by(_POLICY.c.legal_entity_id)
    rows = (await tx.execute(ordered.limit(page.size + 1))).all()
    shown = [policy_from(row) for row in rows[: page.size]]
    response = pb.ListReleasePoliciesResponse(
        release_policies=[write_policy(policy, policy.legal_entity_id) for policy in shown]
    )
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].legal_entity_id)
    return response


def write_policy(policy: ReleasePolicy | None, legal_entity_id: LegalEntityId) -> pb.ReleasePolicy:
    """Return the policy in force: the one that was set, or the default."""
    if policy is None:
        return pb.ReleasePolicy(legal_entity_id=str(legal_entity_id))
    return pb.ReleasePolicy(
        legal_entity_id=str(legal_entity_id),
        version=policy.version,
        threshold=write_money(policy.threshold),
        set_by=policy.set_by,
        set_at=write_instant(policy.set_at),
        rules=[
            pb.ReleaseRule(
                name=rule.name,
                types=[TYPES.write(each) for each in sorted(rule.types)],
                contract_id=None if rule.contract_id is None else str(rule.contract_id),
                min_age_days=rule.min_age_days,
                threshold=write_money(rule.threshold),
            )
            for rule in policy.rules
        ],
    )


def read_rule(field: str, rule: pb.ReleaseRule) -> ReleaseRule:
    """Return an exception from a threshold, as a request names it."""
    contract_id = read_optional_uuid(f"{field}.contract_id", rule.contract_id)
    return ReleaseRule(
        name=rule.name,
        types=frozenset(read_enum(f"{field}.types", each, TYPES) for each in rule.types),
        contract_id=None if contract_id is None else ContractId(contract_id),
        min_age_days=rule.min_age_days,
        threshold=read_money(f"{field}.threshold", rule.threshold),
    )
