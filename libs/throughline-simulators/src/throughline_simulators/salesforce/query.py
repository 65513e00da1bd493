"""Runs SOQL over the org: selected fields, parents, children, and pages of the result."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from throughline_simulators.salesforce import filters, ids, soql
from throughline_simulators.salesforce.errors import ApiError
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.schema import Field, SObject
from throughline_simulators.salesforce.values import Record, Value, write_value

Row = Mapping[str, object]
OnRead = Callable[[SObject, Record, Sequence[Field]], None]


class Cursors:
    """Results that are fetched page by page; a restart loses them, as an expiry would."""

    def __init__(self, *, kept_max: int = 10_000) -> None:
        self._open: dict[str, tuple[Sequence[Row], int]] = {}
        self._kept_max = kept_max

    def first(self, rows: Sequence[Row], size: int, version: str) -> Row:
        """Return the first page, with the address of the next one if there is more."""
        cursor = ids.numbered_id("01g", secrets.randbelow(62**9))
        if len(rows) > size:
            self._open[cursor] = (rows, size)
            while len(self._open) > self._kept_max:
                del self._open[next(iter(self._open))]
        return _page(rows, size, 0, cursor, version)

    def next(self, locator: str, version: str) -> Row:
        """Return the page that a nextRecordsUrl names.

        Raises:
            ApiError: the locator is none of ours, or its cursor is gone.
        """
        cursor, _, offset = locator.rpartition("-")
        if cursor not in self._open or not offset.isdigit():
            raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
        rows, size = self._open[cursor]
        return _page(rows, size, int(offset), cursor, version)

    def clear(self) -> None:
        self._open.clear()


def _page(rows: Sequence[Row], size: int, offset: int, cursor: str, version: str) -> Row:
    end = offset + size
    page: dict[str, object] = {"totalSize": len(rows), "done": end >= len(rows)}
    if end < len(rows):
        page["nextRecordsUrl"] = f"/services/data/{version}/query/{cursor}-{end}"
    page["records"] = rows[offset:end]
    return page


@dataclass(slots=True)
class _Selection:
    """What is shown of one record: its own fields, then parents and children by relation name."""

    entity: SObject
    fields: dict[str, Field | None] = field(default_factory=dict)
    parents: "dict[str, tuple[Field, _Selection]]" = field(default_factory=dict)
    children: "dict[str, _Children]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Children:
    selection: _Selection
    by_parent: Mapping[str, Sequence[Record]]


class QueryRun:
    """One statement over the org as it is now, for the REST version that asked."""

    def __init__(self, org: Org, cursors: Cursors, *, version: str, on_read: OnRead) -> None:
        self._org = org
        self._cursors = cursors
        self._version = version
        self._on_read = on_read

    def answer(self, text: str, *, page_size: int) -> Row:
        """Return the first page of the result.

        Raises:
            ApiError: MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE and their kin.
        """
        query = soql.parse(text)
        entity = self._source(query)
        selection = self._selection(entity, query)
        records = self._matching(entity, query)
        if not query.items:
            return {"totalSize": len(records), "done": True, "records": []}
        rows = [self._render(selection, record) for record in records]
        return self._cursors.first(rows, page_size, self._version)

    def _render(self, selection: _Selection, record: Record) -> Row:
        switches = self._org.switches
        row: dict[str, object] = {"attributes": attributes(selection.entity, record, self._version)}
        own = [shown for shown in selection.fields.values() if shown is not None]
        for name, shown in selection.fields.items():
            if shown is not None:
                row[name] = write_value(shown, record.get(name), switches)
            elif name in selection.parents:
                row[name] = self._parent(selection.parents[name], record)
            else:
                row[name] = self._child_page(selection.children[name], record)
        self._on_read(selection.entity, record, own)
        return row

    def whole(self, entity: SObject, record: Record, names: Sequence[str] | None = None) -> Row:
        """Return a record with all its fields, or with those named.

        Raises:
            ApiError: one of the names is no field of the object.
        """
        selection = _Selection(entity)
        for name in names or [shown.name for shown in entity.fields.values()]:
            shown = entity.field(name)
            if shown is None:
                raise ApiError("INVALID_FIELD", f"No such column '{name}' on entity {entity.name}")
            selection.fields[shown.name] = shown
        return self._render(selection, record)

    def _parent(self, parent: tuple[Field, _Selection], record: Record) -> Row | None:
        hop, selection = parent
        found = self._org.records(selection.entity).get(str(record.get(hop.name)))
        return None if found is None else self._render(selection, found)

    def _child_page(self, children: _Children, record: Record) -> Row | None:
        found = children.by_parent.get(str(record["Id"]), ())
        rows = [self._render(children.selection, child) for child in found]
        size = self._org.switches.child_page_size
        return self._cursors.first(rows, size, self._version) if rows else None

    # Reading the statement

    def _source(self, query: soql.Query) -> SObject:
        entity = self._org.entity(query.source)
        if entity is None:
            raise soql.fault(
                query.text, query.source_position, "INVALID_TYPE",
                f"sObject type '{query.source}' is not supported. If you are attempting to use a "
                "custom object, be sure to append the '__c' after the entity name. Please "
                "reference your WSDL or the describe call for the appropriate names.",
            )  # fmt: skip
        return entity

    def _selection(self, entity: SObject, query: soql.Query) -> _Selection:
        selection = _Selection(entity)
        for item in query.items:
            if isinstance(item, soql.Query):
                self._add_children(selection, item)
            else:
                self._add_field(selection, item, query.text)
        return selection

    def _add_field(self, selection: _Selection, path: soql.Path, text: str) -> None:
        column = filters.resolve(self._org, selection.entity, path, text)
        for hop, target in column.hops:
            name = str(hop.relation)
            selection.fields.setdefault(name, None)
            _, selection = selection.parents.setdefault(name, (hop, _Selection(target)))
        if column.field.name in selection.fields:
            raise soql.fault(
                text, path.position, "MALFORMED_QUERY",
                f"duplicate field selected: {column.field.name}",
            )  # fmt: skip
        selection.fields[column.field.name] = column.field

    def _add_children(self, selection: _Selection, query: soql.Query) -> None:
        relation = next(
            (
                (child, via)
                for child, via in self._org.children_of(selection.entity)
                if str(via.children).lower() == query.source.lower()
            ),
            None,
        )
        if relation is None:
            raise soql.fault(
                query.text, query.source_position, "INVALID_TYPE",
                f"Didn't understand relationship '{query.source}' in FROM part of query call. If "
                "you are attempting to use a custom relationship, be sure to append the '__r' "
                "after the custom relationship name. Please reference your WSDL or the describe "
                "call for the appropriate names.",
            )  # fmt: skip
        child, via = relation
        by_parent: dict[str, list[Record]] = defaultdict(list)
        for record in self._matching(child, query, limited=False):
            by_parent[str(record.get(via.name))].append(record)
        limit = query.limit
        limited = {parent: records[:limit] for parent, records in by_parent.items()}
        name = str(via.children)
        selection.fields[name] = None
        selection.children[name] = _Children(self._selection(child, query), limited)

    def _matching(
        self, entity: SObject, query: soql.Query, *, limited: bool = True
    ) -> Sequence[Record]:
        conditions = filters.Conditions(self._org, entity, query.text, self._semi_join)
        test = conditions.test(query.where)
        live = self._org.live(entity)
        found = filters.ordered(self._org, entity, query, (r for r in live if test(r)))
        if not limited:
            return found
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]

    def _semi_join(self, query: soql.Query) -> frozenset[Value]:
        entity = self._source(query)
        if len(query.items) != 1 or isinstance(query.items[0], soql.Query):
            raise soql.fault(
                query.text, query.source_position, "MALFORMED_QUERY",
                "semi join sub-selects can only select one field",
            )  # fmt: skip
        column = filters.resolve(self._org, entity, query.items[0], query.text)
        values = (column.value(self._org, record) for record in self._matching(entity, query))
        return frozenset(value.lower() for value in values if isinstance(value, str))


def attributes(entity: SObject, record: Record, version: str) -> Row:
    address = f"/services/data/{version}/sobjects/{entity.name}/{record['Id']}"
    return {"type": entity.name, "url": address}
