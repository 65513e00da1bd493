"""WHERE and ORDER BY: tests and sort keys over records, with the vendor's notion of equality."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from throughline_simulators.salesforce import ids, soql
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.schema import NUMERIC, Field, FieldType, SObject
from throughline_simulators.salesforce.values import Record, Value, read_instant

Test = Callable[[Record], bool]

_TYPE_NAMES: Final = {FieldType.DATETIME: "dateTime", FieldType.ID: "ID", FieldType.REFERENCE: "ID"}


@dataclass(frozen=True, slots=True)
class Column:
    """A field as seen from a record: the references to follow, then the field."""

    hops: tuple[tuple[Field, SObject], ...]
    field: Field

    def value(self, org: Org, record: Record) -> Value:
        """Return the value, None where one of the parents is missing."""
        for hop, target in self.hops:
            parent = org.records(target).get(str(record.get(hop.name)))
            if parent is None:
                return None
            record = parent
        return record.get(self.field.name)


def resolve(org: Org, entity: SObject, path: soql.Path, text: str) -> Column:
    """Find the field that `path` names.

    Raises:
        ApiError: INVALID_FIELD, pointing into the statement `text`.
    """
    hops: list[tuple[Field, SObject]] = []
    for part in path.parts[:-1]:
        hop = entity.relation(part)
        target = None if hop is None or hop.reference_to is None else org.entity(hop.reference_to)
        if hop is None or target is None:
            raise soql.fault(
                text,
                path.position,
                "INVALID_FIELD",
                f"Didn't understand relationship '{part}' in field path. If you are attempting to "
                "use a custom relationship, be sure to append the '__r' after the custom "
                "relationship name. Please reference your WSDL or the describe call for the "
                "appropriate names.",
            )
        hops.append((hop, target))
        entity = target
    field = entity.field(path.parts[-1])
    if field is None:
        raise soql.fault(
            text,
            path.position,
            "INVALID_FIELD",
            f"No such column '{path.parts[-1]}' on entity '{entity.name}'. If you are attempting "
            "to use a custom field, be sure to append the '__c' after the custom field name. "
            "Please reference your WSDL or the describe call for the appropriate names.",
        )
    return Column(tuple(hops), field)


def ordered(
    org: Org, entity: SObject, query: soql.Query, records: Iterable[Record]
) -> list[Record]:
    """Return the records in the order the query asks for; nulls come first unless it says last."""
    result = list(records)
    for ordering in reversed(query.order):
        column = resolve(org, entity, ordering.path, query.text)
        filled = [record for record in result if column.value(org, record) is not None]
        empty = [record for record in result if column.value(org, record) is None]
        filled.sort(key=_sort_key(org, column), reverse=ordering.descending)
        result = filled + empty if ordering.nulls_last else empty + filled
    return result


def _sort_key(org: Org, column: Column) -> Callable[[Record], str | Decimal]:
    # The values of one column are of one type; booleans sort as numbers.
    def key(record: Record) -> str | Decimal:
        value = _folded(column.value(org, record))
        return value if isinstance(value, str) else Decimal(value or 0)

    return key


class Conditions:
    """Builds tests from the WHERE clause of one query."""

    def __init__(
        self,
        org: Org,
        entity: SObject,
        text: str,
        semi_join: Callable[[soql.Query], frozenset[Value]],
    ) -> None:
        self._org = org
        self._entity = entity
        self._text = text
        self._semi_join = semi_join

    def test(self, condition: soql.Condition | None) -> Test:
        """Return a test for `condition`.

        Raises:
            ApiError: unknown field, or a literal that does not suit its field.
        """
        if condition is None:
            return lambda _record: True
        if isinstance(condition, soql.Negation):
            inner = self.test(condition.condition)
            return lambda record: not inner(record)
        if isinstance(condition, soql.Junction):
            tests = [self.test(part) for part in condition.conditions]
            joined = all if condition.operator == "and" else any
            return lambda record: joined(test(record) for test in tests)
        column = resolve(self._org, self._entity, condition.path, self._text)
        if isinstance(condition, soql.Membership):
            return self._membership(column, condition)
        return self._comparison(column, condition)

    def _membership(self, column: Column, condition: soql.Membership) -> Test:
        if isinstance(condition.among, soql.Query):
            values = self._semi_join(condition.among)
        else:
            values = frozenset(
                self._operand(column.field, literal, condition.path.position)
                for literal in condition.among
            )
        org, negated = self._org, condition.negated
        return lambda record: (_folded(column.value(org, record)) in values) is not negated

    def _comparison(self, column: Column, condition: soql.Comparison) -> Test:
        operator, position = condition.operator, condition.path.position
        operand = self._operand(column.field, condition.literal, position)
        org = self._org
        ordering = operator not in ("=", "!=")
        if ordering and (operand is None or isinstance(operand, bool)):
            raise soql.fault(
                self._text, position, "INVALID_QUERY_FILTER_OPERATOR",
                f"invalid operator on field '{column.field.name}'",
            )  # fmt: skip
        if operator == "like":
            pattern = _like(str(operand))
            return lambda record: (
                pattern.fullmatch(str(column.value(org, record) or "")) is not None
            )
        if not ordering:
            wanted = operator == "="
            return lambda record: (_folded(column.value(org, record)) == operand) is wanted
        compare = _COMPARISONS[operator]

        def test(record: Record) -> bool:
            value = _folded(column.value(org, record))
            return value is not None and compare(value, operand)

        return test

    def _operand(self, field: Field, literal: soql.Literal, position: int) -> Value:
        """Return the literal in the form values are compared in."""
        if literal.kind == "null":
            return None
        if literal.kind != _literal_kind(field):
            quotes = "" if literal.kind != "string" else " and should not be enclosed in quotes"
            raise soql.fault(
                self._text, position, "INVALID_FIELD",
                f"value of filter criterion for field '{field.name}' must be of type "
                f"{_TYPE_NAMES.get(field.type, field.type.value)}{quotes}",
            )  # fmt: skip
        if field.type in (FieldType.ID, FieldType.REFERENCE):
            return self._id(str(literal.value), position)
        if field.type is FieldType.DATETIME:
            return _folded(read_instant(str(literal.value)))
        return _folded(literal.value)

    def _id(self, written: str, position: int) -> str:
        wide = ids.normalised(written)
        if wide is None:
            raise soql.fault(
                self._text,
                position,
                "INVALID_QUERY_FILTER_OPERATOR",
                f"invalid ID field: {written}",
            )
        return wide.lower()


def _literal_kind(field: Field) -> str:
    if field.type in NUMERIC:
        return "number"
    if field.type in (FieldType.BOOLEAN, FieldType.DATE, FieldType.DATETIME):
        return field.type.value
    return "string"


def _folded(value: Value) -> Value:
    """Text compares without regard to case; ids keep telling it, by their suffix."""
    return value.lower() if isinstance(value, str) else value


def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile(
        "".join(parts.get(character) or re.escape(character) for character in pattern),
        re.IGNORECASE | re.DOTALL,
    )


# Both sides are of one type: `_operand` has seen to it.
_COMPARISONS: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "<": lambda value, operand: value < operand,  # type: ignore[operator]
    "<=": lambda value, operand: value <= operand,  # type: ignore[operator]
    ">": lambda value, operand: value > operand,  # type: ignore[operator]
    ">=": lambda value, operand: value >= operand,  # type: ignore[operator]
}
