"""Work in progress as of a past day, from the rows themselves."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.source import ContractId, ContractLineId
from throughline.billing_event.v1 import position_service_pb2 as pb
from throughline.common.v1 import money_pb2
from throughline_core.money import Money
from throughline_runtime.fields import EnumMap, read_uuid, write_id, write_money
from throughline_runtime.page import Page, next_token

# A report over all there is may take longer than a request does, and sums in memory.
_PATIENCE: Final = text("SET LOCAL statement_timeout = '30s'")
_MEMORY: Final = text("SET LOCAL work_mem = '64MB'")


class WipGrouping(StrEnum):
    """By what work in progress is summed up."""

    CONTRACT_LINE = "contract_line"
    CONTRACT = "contract"
    PROJECT = "project"
    PERSON = "person"
    CUSTOMER = "customer"


GROUPINGS: Final = EnumMap(pb.WipGrouping, WipGrouping)

_KEYS: Final = {
    WipGrouping.CONTRACT_LINE: "event.contract_line_id",
    WipGrouping.CONTRACT: "event.contract_id",
    WipGrouping.PROJECT: "item.project_id",
    WipGrouping.PERSON: "item.person_id",
    WipGrouping.CUSTOMER: "event.bill_to_customer_id",
}
_OF_ITEM: Final = (WipGrouping.PROJECT, WipGrouping.PERSON)


@dataclass(frozen=True, slots=True)
class WipFilter:
    """Whose work in progress; None does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    project_id: UUID | None = None
    person_id: UUID | None = None


def _statement(grouping: WipGrouping, *, of_items: bool) -> TextClause:
    """Return the statement of one page and, with it, the totals over all pages.

    What was rated and what was claimed are summed apart, by group and age: joining the claims to
    each row first costs three times as much.
    """
    key = _KEYS[grouping]
    items = "JOIN source_item AS item USING (source_item_id)" if of_items else ""
    only_items = (
        """
          AND (CAST(:project_id AS uuid) IS NULL OR item.project_id = CAST(:project_id AS uuid))
          AND (CAST(:person_id AS uuid) IS NULL OR item.person_id = CAST(:person_id AS uuid))"""
        if of_items
        else ""
    )
    contract = "event.contract_id"
    if grouping not in (WipGrouping.CONTRACT, WipGrouping.CONTRACT_LINE):
        contract = "CAST(NULL AS uuid)"
    columns = f"""{key} AS key, {contract} AS contract_id, event.legal_entity_id,
                  event.currency,
                  least(greatest((CAST(:as_of AS date) - event.service_to) / 30, 0), 3) AS age"""
    where = f"""event.treatment <> 'prepayment'
          AND (CAST(:contract_id AS uuid) IS NULL
               OR event.contract_id = CAST(:contract_id AS uuid))
          AND (CAST(:contract_line_id AS uuid) IS NULL
               OR event.contract_line_id = CAST(:contract_line_id AS uuid))
          AND (CAST(:legal_entity_ids AS uuid[]) IS NULL
               OR event.legal_entity_id = ANY(CAST(:legal_entity_ids AS uuid[]))){only_items}"""
    return text(f"""
    WITH part AS (
        SELECT {columns}, sum(event.amount) AS amount
        FROM billing_event AS event {items}
        WHERE event.rated_on <= :as_of AND {where}
        GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT {columns}, -sum(claim.amount)
        FROM allocation AS claim JOIN billing_event AS event USING (billing_event_id) {items}
        WHERE claim.recorded_on <= :as_of AND event.rated_on <= :as_of AND {where}
        GROUP BY 1, 2, 3, 4, 5
    ), line AS MATERIALIZED (
        SELECT key, contract_id, legal_entity_id, currency, sum(amount) AS amount,
               coalesce(sum(amount) FILTER (WHERE age = 0), 0) AS up_to_30_days,
               coalesce(sum(amount) FILTER (WHERE age = 1), 0) AS from_31_to_60_days,
               coalesce(sum(amount) FILTER (WHERE age = 2), 0) AS from_61_to_90_days,
               coalesce(sum(amount) FILTER (WHERE age = 3), 0) AS over_90_days
        FROM part GROUP BY key, contract_id, legal_entity_id, currency
    ), page AS (
        SELECT * FROM line
        WHERE (amount, up_to_30_days, from_31_to_60_days, from_61_to_90_days, over_90_days)
              <> (0, 0, 0, 0, 0)
          AND (CAST(:after_entity AS uuid) IS NULL
               OR (coalesce(key, :nobody), legal_entity_id, currency)
                  > (CAST(:after_key AS uuid), CAST(:after_entity AS uuid),
                     CAST(:after_currency AS text)))
        ORDER BY coalesce(key, :nobody), legal_entity_id, currency LIMIT :limit
    )
    SELECT false AS is_total, page.* FROM page
    UNION ALL
    SELECT true, NULL, NULL, NULL, currency, sum(amount), sum(up_to_30_days),
           sum(from_31_to_60_days), sum(from_61_to_90_days), sum(over_90_days)
    FROM line GROUP BY currency
    """)


_STATEMENTS: Final = {
    (grouping, of_items): _statement(grouping, of_items=of_items)
    for grouping in WipGrouping
    for of_items in (True, False)
}
# Sorts before every UUID that is given out, in the place of no project or person.
_NOBODY: Final = UUID(int=0)


async def wip(
    tx: AsyncConnection, as_of: date, wanted: WipFilter, grouping: WipGrouping, page: Page
) -> pb.GetWipResponse:
    """Return a page of work in progress at the end of a day that is over, and its totals."""
    after: tuple[UUID | None, UUID | None, str | None] = (None, None, None)
    if page.after is not None:
        key, entity, currency = page.after
        after = read_uuid("page_token", key), read_uuid("page_token", entity), currency
    entities = wanted.legal_entity_ids
    is_narrowed = wanted.project_id is not None or wanted.person_id is not None
    values = {
        "as_of": as_of,
        "contract_id": wanted.contract_id,
        "contract_line_id": wanted.contract_line_id,
        "legal_entity_ids": None if entities is None else list(entities),
        "nobody": _NOBODY,
        "after_key": after[0],
        "after_entity": after[1],
        "after_currency": after[2],
        "limit": page.size + 1,
    }
    of_items = is_narrowed or grouping in _OF_ITEM
    if of_items:
        values |= {"project_id": wanted.project_id, "person_id": wanted.person_id}
    await tx.execute(_PATIENCE)
    await tx.execute(_MEMORY)
    found = (await tx.execute(_STATEMENTS[grouping, of_items], values)).all()
    lines = [row for row in found if not row.is_total]
    lines.sort(key=_order)
    shown = lines[: page.size]
    response = pb.GetWipResponse(
        lines=[_write_line(row, grouping) for row in shown],
        totals=[
            _money(row.amount, row.currency)
            for row in sorted(found, key=lambda row: row.currency)
            if row.is_total
        ],
    )
    if len(lines) > page.size:
        response.next_page_token = next_token(*_order(shown[-1]))
    return response


def _order(row: Row[Any]) -> tuple[UUID, UUID, str]:
    return row.key or _NOBODY, row.legal_entity_id, row.currency


def _write_line(row: Row[Any], grouping: WipGrouping) -> pb.WipLine:
    line = pb.WipLine(
        contract_id=write_id(row.contract_id),
        legal_entity_id=str(row.legal_entity_id),
        amount=_money(row.amount, row.currency),
        up_to_30_days=_money(row.up_to_30_days, row.currency),
        from_31_to_60_days=_money(row.from_31_to_60_days, row.currency),
        from_61_to_90_days=_money(row.from_61_to_90_days, row.currency),
        over_90_days=_money(row.over_90_days, row.currency),
    )
    if grouping is not WipGrouping.CONTRACT and row.key is not None:
        setattr(line, f"{grouping}_id", str(row.key))
    return line


def _money(amount: Decimal, currency: str) -> money_pb2.Money:
    return write_money(Money(amount, currency))
