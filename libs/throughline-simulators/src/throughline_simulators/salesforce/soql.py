"""The part of SOQL an integrator writes, from text to a tree.

Not understood, and refused as malformed: aggregates but for `COUNT()`, GROUP BY, HAVING, date
literals such as TODAY, TYPEOF, FIELDS(), aliases, and semi-joins below the first level.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NoReturn, TypeAlias, TypeVar

from throughline_simulators.salesforce.errors import ApiError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Path:
    """A field, reached through parent relations: `SBQQ__Product__r.ProductCode`."""

    parts: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written; `kind` is the name of its token."""

    kind: str
    value: bool | str | Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    path: Path
    operator: str
    literal: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    path: Path
    among: "tuple[Literal, ...] | Query"
    negated: bool


@dataclass(frozen=True, slots=True)
class Negation:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Junction:
    operator: str
    conditions: "tuple[Condition, ...]"


Condition: TypeAlias = Comparison | Membership | Negation | Junction


@dataclass(frozen=True, slots=True)
class Ordering:
    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed statement; no selected items means `COUNT()`."""

    text: str
    items: "tuple[Path | Query, ...]"
    source: str
    source_position: int
    where: Condition | None
    order: tuple[Ordering, ...]
    limit: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    |(?P<date>\d{4}-\d\d-\d\d)
    |(?P<number>[+-]?\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<sign>!=|<>|<=|>=|[=<>(),])
    """,
    re.VERBOSE,
)
_RESERVED: Final = frozenset(
    "select from where and or not in like order by limit offset asc desc nulls null".split()
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def parse(text: str) -> Query:
    """Return the tree of one statement.

    Raises:
        ApiError: MALFORMED_QUERY, with the place where reading stopped.
    """
    parser = _Parser(text)
    query = parser.query()
    parser.expect_end()
    return query


def fault(text: str, position: int, code: str, message: str) -> ApiError:
    """Return an error that quotes the statement and points at `position`, as the vendor does."""
    excerpt = text[max(0, position - 40) : position + 40].replace("\n", " ")
    pointer = " " * min(position, 40) + "^"
    row = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return ApiError(code, f"\n{excerpt}\n{pointer}\nERROR at Row:{row}:Column:{column}\n{message}")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenise()
        self._next = 0

    def query(self) -> Query:
        self._expect("select")
        items = self._items()
        self._expect("from")
        source = self._name()
        where = self._conditions() if self._accept("where") else None
        order: tuple[Ordering, ...] = ()
        if self._accept("order"):
            self._expect("by")
            order = self._separated(self._ordering)
        limit = self._count() if self._accept("limit") else None
        offset = self._count() if self._accept("offset") else 0
        return Query(self._text, items, source.text, source.position, where, order, limit, offset)

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            self._unexpected(self._peek())

    # Clauses

    def _items(self) -> tuple[Path | Query, ...]:
        if self._peek().text.lower() == "count" and self._tokens[self._next + 1].text == "(":
            self._next += 2
            self._expect(")")
            return ()
        return self._separated(self._item)

    def _item(self) -> Path | Query:
        if self._accept("("):
            child = self.query()
            self._expect(")")
            return child
        return self._path()

    def _ordering(self) -> Ordering:
        path = self._path()
        descending = self._accept("desc")
        if not descending:
            self._accept("asc")
        nulls_last = False
        if self._accept("nulls"):
            nulls_last = self._accept("last")
            if not nulls_last:
                self._expect("first")
        return Ordering(path, descending, nulls_last)

    def _conditions(self) -> Condition:
        """One level of AND or of OR: the vendor wants parentheses to mix them."""
        conditions = [self._condition()]
        operator = ""
        while self._peek().text.lower() in ("and", "or"):
            token = self._take()
            if operator and token.text.lower() != operator:
                self._unexpected(token)
            operator = token.text.lower()
            conditions.append(self._condition())
        return conditions[0] if not operator else Junction(operator, tuple(conditions))

    def _condition(self) -> Condition:
        if self._accept("not"):
            return Negation(self._condition())
        if self._accept("("):
            inside = self._conditions()
            self._expect(")")
            return inside
        path = self._path()
        negated = self._accept("not")
        if negated or self._peek().text.lower() == "in":
            self._expect("in")
            return Membership(path, self._among(), negated)
        operator = self._take()
        if operator.text.lower() not in ("=", "!=", "<>", "<", "<=", ">", ">=", "like"):
            self._unexpected(operator)
        sign = "!=" if operator.text == "<>" else operator.text.lower()
        return Comparison(path, sign, self._literal())

    def _among(self) -> tuple[Literal, ...] | Query:
        self._expect("(")
        if self._peek().text.lower() == "select":
            among: tuple[Literal, ...] | Query = self.query()
        else:
            among = self._separated(self._literal)
        self._expect(")")
        return among

    def _literal(self) -> Literal:
        token = self._take()
        word = token.text.lower()
        if token.kind == "string":
            escaped = re.sub(
                r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), token.text[1:-1]
            )
            return Literal("string", escaped)
        if token.kind == "number":
            return Literal("number", Decimal(token.text))
        if token.kind in ("date", "datetime"):
            return Literal(token.kind, token.text)
        if word in ("true", "false"):
            return Literal("boolean", word == "true")
        if word != "null":
            self._unexpected(token)
        return Literal("null", None)

    def _path(self) -> Path:
        token = self._name()
        return Path(tuple(token.text.split(".")), token.position)

    def _count(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdigit():
            self._unexpected(token)
        return int(token.text)

    # Tokens

    def _separated(self, read: Callable[[], Item]) -> tuple[Item, ...]:
        items = [read()]
        while self._accept(","):
            items.append(read())
        return tuple(items)

    def _name(self) -> _Token:
        token = self._take()
        if token.kind != "name" or token.text.lower() in _RESERVED:
            self._unexpected(token)
        return token

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind == "end":
            self._unexpected(token)
        self._next += 1
        return token

    def _accept(self, word: str) -> bool:
        if self._peek().text.lower() != word:
            return False
        self._next += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self._unexpected(self._peek())

    def _unexpected(self, token: _Token) -> NoReturn:
        what = (
            "unexpected end of query"
            if token.kind == "end"
            else f"unexpected token: '{token.text}'"
        )
        raise fault(self._text, token.position, "MALFORMED_QUERY", what)

    def _tokenise(self) -> list[_Token]:
        tokens, position = [], 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                bad = _Token("unknown", self._text[position], position)
                self._unexpected(bad)
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match[0], position))
            position = match.end()
        return [*tokens, _Token("end", "", len(self._text))]
