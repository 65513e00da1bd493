"""Lists of data-quality rules, and of what they find about customers."""

from uuid import UUID

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.data_quality import RuleObject, RuleStatus, broken
from customer_contract.domain.data_quality_values import customer_values
from customer_contract.queries.paging import after_id, filtered, page_of
from customer_contract.repository import customer, data_quality
from customer_contract.wire.data_quality import write_finding, write_rule
from throughline.customer_contract.v1 import data_quality_service_pb2 as pb
from throughline_runtime.identity import visible_entities
from throughline_runtime.page import MalformedPage, Page, next_token


async def rules(
    tx: AsyncConnection, page: Page, *, status: RuleStatus | None, object_: RuleObject | None
) -> tuple[list[pb.DataQualityRule], str]:
    """Return the versions of rules the caller may see, by code and version, and the next token."""
    table = tables.data_quality_rule
    keys = (table.c.code, table.c.rule_version)
    query = select(table).order_by(*keys).limit(page.size + 1)
    if page.after is not None:
        query = query.where(tuple_(*keys) > _read_key(page.after))
    entities = visible_entities()
    if entities is not None:
        entity = table.c.legal_entity_id
        query = query.where(or_(entity.is_(None), entity.in_(entities)))
    query = filtered(query, {table.c.status: status, table.c.object: object_})
    found = [data_quality.rule_from(row) for row in await tx.execute(query)]
    kept = found[: page.size]
    last = kept[-1] if len(found) > page.size else None
    token = "" if last is None else next_token(last.code, last.rule_version)
    return [write_rule(rule) for rule in kept], token


async def findings(
    tx: AsyncConnection, page: Page, *, customer_id: UUID | None, country: str
) -> pb.CheckCustomersResponse:
    """Return what the rules for all legal entities find about a page of customers."""
    table = tables.customer
    query = page_of(select(table), table.c.customer_id, after_id(page), page)
    query = filtered(query, {table.c.customer_id: customer_id, table.c.country: country})
    found = [customer.customer_from(row) for row in await tx.execute(query)]
    looked_at = found[: page.size]
    in_force = await data_quality.in_force(tx)
    messages = [
        write_finding(one, rule)
        for one in looked_at
        for rule in broken(
            in_force,
            {RuleObject.CUSTOMER: customer_values(one)},
            legal_entity_id=None,
            country=one.profile.address.country,
        )
    ]
    return pb.CheckCustomersResponse(
        findings=messages,
        checked=len(looked_at),
        next_page_token=next_token(looked_at[-1].customer_id) if len(found) > page.size else "",
    )


def _read_key(after: tuple[str, ...]) -> tuple[str, int]:
    code, version = after
    if not version.isdecimal() or len(version) > 9:
        raise MalformedPage("page_token is not one this list gave out", field="page_token")
    return code, int(version)
