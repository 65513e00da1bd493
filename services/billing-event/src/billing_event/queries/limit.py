"""Limits, their statements and settings, and proposals of higher ones, listed."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.limit import EntryKind, LimitAccountId, LimitScope
from billing_event.domain.limit_usage import Enforcement, LimitNotFound
from billing_event.domain.position import BillingEventId
from billing_event.domain.proposal import DecisionStatus
from billing_event.domain.source import ContractId, ContractLineId, CustomerId
from billing_event.queries.keys import read_count, read_moment
from billing_event.repository.customer_limit import proposal_from
from billing_event.wire import limits
from throughline.billing_event.v1 import limit_service_pb2 as pb
from throughline_runtime.fields import read_uuid
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page, next_token

_ACCOUNT = tables.limit_account
_ENTRY = tables.limit_entry
_SETTING = tables.limit_setting
_PROPOSAL = tables.customer_limit_proposal
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class LimitFilter:
    """Which limits are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    customer_id: CustomerId | None = None
    scope: LimitScope | None = None
    enforcement: Enforcement | None = None
    used_percent_min: int = 0


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Which proposals of limits are wanted; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    customer_id: CustomerId | None = None
    status: DecisionStatus | None = None


async def limits_matching(
    tx: AsyncConnection, wanted: LimitFilter, page: Page
) -> pb.ListLimitsResponse:
    """Return a page of limits in the order of their ids."""
    query = select(_ACCOUNT)
    equal = {
        _ACCOUNT.c.contract_id: wanted.contract_id,
        _ACCOUNT.c.contract_line_id: wanted.contract_line_id,
        _ACCOUNT.c.customer_id: wanted.customer_id,
        _ACCOUNT.c.scope: wanted.scope,
        _ACCOUNT.c.enforcement: wanted.enforcement,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_ACCOUNT.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.used_percent_min:
        taken = _ACCOUNT.c.reserved + _ACCOUNT.c.committed
        query = query.where(taken * _HUNDRED >= _ACCOUNT.c.agreed * wanted.used_percent_min)
    key = _ACCOUNT.c.limit_account_id
    if page.after is not None:
        query = query.where(key > read_uuid("page_token", page.after[0]))
    rows = (await tx.execute(query.order_by(key).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListLimitsResponse(limits=map(limits.write_limit, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].limit_account_id)
    return response


async def limit(tx: AsyncConnection, limit_account_id: LimitAccountId) -> pb.Limit:
    """Return one limit.

    Raises:
        LimitNotFound: there is none.
        EntityForbidden: it is not for the caller.
    """
    return limits.write_limit(await _get(tx, limit_account_id))


async def find_limit(tx: AsyncConnection, limit_account_id: LimitAccountId) -> pb.Limit | None:
    """Return one limit, None where there is none."""
    query = select(_ACCOUNT).where(_ACCOUNT.c.limit_account_id == limit_account_id)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else limits.write_limit(row)


async def entries(
    tx: AsyncConnection,
    limit_account_id: LimitAccountId,
    page: Page,
    *,
    kind: EntryKind | None,
    billing_event_id: BillingEventId | None,
) -> pb.ListLimitEntriesResponse:
    """Return a page of a limit's statement, oldest entries first.

    Raises:
        LimitNotFound, EntityForbidden: see `limit`.
    """
    account = await _get(tx, limit_account_id)
    query = select(_ENTRY).where(_ENTRY.c.limit_account_id == limit_account_id)
    if kind is not None:
        query = query.where(_ENTRY.c.kind == kind)
    if billing_event_id is not None:
        query = query.where(_ENTRY.c.billing_event_id == billing_event_id)
    keys = (_ENTRY.c.recorded_at, _ENTRY.c.kind, _ENTRY.c.cause_id)
    if page.after is not None:
        moment, after_kind, cause = page.after
        after = read_moment(moment), after_kind, read_uuid("page_token", cause)
        query = query.where(tuple_(*keys) > after)
    rows = (await tx.execute(query.order_by(*keys).limit(page.size + 1))).all()
    shown = rows[: page.size]
    response = pb.ListLimitEntriesResponse(
        entries=(limits.write_entry(row, currency=account.currency) for row in shown)
    )
    if len(rows) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(last.recorded_at, last.kind, last.cause_id)
    return response


async def settings(
    tx: AsyncConnection, limit_account_id: LimitAccountId, page: Page
) -> pb.ListLimitSettingsResponse:
    """Return a page of the settings a limit has had, newest first.

    Raises:
        LimitNotFound, EntityForbidden: see `limit`.
    """
    await _get(tx, limit_account_id)
    query = select(_SETTING).where(_SETTING.c.limit_account_id == limit_account_id)
    if page.after is not None:
        query = query.where(_SETTING.c.version < read_count(page.after[0]))
    ordered = query.order_by(_SETTING.c.version.desc()).limit(page.size + 1)
    rows = (await tx.execute(ordered)).all()
    shown = rows[: page.size]
    response = pb.ListLimitSettingsResponse(settings=map(limits.write_settings, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].version)
    return response


async def proposals(
    tx: AsyncConnection, wanted: ProposalFilter, page: Page
) -> pb.ListCustomerLimitProposalsResponse:
    """Return a page of proposals, newest first: their ids are ordered by time."""
    query = select(_PROPOSAL)
    if wanted.legal_entity_ids is not None:
        query = query.where(_PROPOSAL.c.legal_entity_id.in_(wanted.legal_entity_ids))
    if wanted.customer_id is not None:
        query = query.where(_PROPOSAL.c.customer_id == wanted.customer_id)
    if wanted.status is not None:
        query = query.where(_PROPOSAL.c.status == wanted.status)
    key = _PROPOSAL.c.customer_limit_proposal_id
    if page.after is not None:
        query = query.where(key < read_uuid("page_token", page.after[0]))
    rows = (await tx.execute(query.order_by(key.desc()).limit(page.size + 1))).all()
    shown = [proposal_from(row) for row in rows[: page.size]]
    response = pb.ListCustomerLimitProposalsResponse(proposals=map(limits.write_proposal, shown))
    if len(rows) > page.size:
        response.next_page_token = next_token(shown[-1].customer_limit_proposal_id)
    return response


async def _get(tx: AsyncConnection, limit_account_id: LimitAccountId) -> Row[Any]:
    query = select(_ACCOUNT).where(_ACCOUNT.c.limit_account_id == limit_account_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise LimitNotFound(f"limit {limit_account_id} does not exist", field="limit_account_id")
    require_entity(row.legal_entity_id)
    return row
