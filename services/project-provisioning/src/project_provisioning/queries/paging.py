"""What all lists share: the caller's sight, the order, and where a page begins and ends."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_

from project_provisioning import tables
from project_provisioning.domain.person import Sight
from throughline_runtime.fields import read_uuid
from throughline_runtime.page import Page, next_token

Item = TypeVar("Item")


def within(query: Select[Any], legal_entity_id: ColumnElement[Any], sight: Sight) -> Select[Any]:
    """Limit a query to the legal entities the caller may see."""
    return query if sight.entities is None else query.where(legal_entity_id.in_(sight.entities))


def own(query: Select[Any], sight: Sight) -> Select[Any]:
    """Limit a query that joins `person` to the caller's own work, where it is limited to that."""
    if sight.own_subject is None:
        return query
    return query.where(tables.person.c.subject == sight.own_subject)


def by_id(query: Select[Any], key: ColumnElement[Any], page: Page) -> Select[Any]:
    """Order a query by its key and cut it to the page and one row more."""
    if page.after is not None:
        query = query.where(key > after(page))
    return query.order_by(key).limit(page.size + 1)


def latest_first(
    query: Select[Any], at: ColumnElement[Any], key: ColumnElement[Any], page: Page
) -> Select[Any]:
    """Order a query by time and key, latest first, and cut it to the page and one row more."""
    if page.after is not None:
        last = select(at, key).where(key == after(page)).scalar_subquery()
        query = query.where(tuple_(at, key) < last)
    return query.order_by(at.desc(), key.desc()).limit(page.size + 1)


def after(page: Page) -> UUID:
    """Return the key a page goes on after; call it only where there is one."""
    assert page.after is not None
    return read_uuid("page_token", page.after[0])


def cut(
    rows: Sequence[Item], page: Page, key: Callable[[Item], object]
) -> tuple[Sequence[Item], str]:
    """Return the rows of this page, and the token of the next if one more row was found."""
    if len(rows) <= page.size:
        return rows, ""
    return rows[: page.size], next_token(key(rows[page.size - 1]))
