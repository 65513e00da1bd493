"""Formulas of templates: arithmetic over the quote line, and nothing else.

    sum     = product {("+" | "-") product}
    product = sign {("*" | "/") sign}
    sign    = ["-"] atom
    atom    = number | name | ("min" | "max" | "round") "(" sum {"," sum} ")" | "(" sum ")"

A formula is checked whole when its template is proposed. Length, nesting and the size of numbers
are bounded, so that no template can keep a run busy.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException
from functools import lru_cache
from typing import Final, NamedTuple

from throughline_core.errors import InvalidArgument
from throughline_core.rounding import round_half_away

VARIABLES: Final = ("net_total", "planned_hours", "quantity", "term_days")
LENGTH_MAX: Final = 200
RESULT_MAX: Final = Decimal(10) ** 10

_DEPTH_MAX: Final = 20
_PLACES_MAX: Final = 6
_PRECISION: Final = Context(prec=34)
_FUNCTIONS: Final = frozenset({"min", "max", "round"})
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d{1,12}(?:\.\d{1,6})?)(?![\d.])|(?P<name>[a-z_]+)|(?P<sign>[-+*/(),]))"
)

Values = Mapping[str, Decimal]
_Node = Callable[[Values], Decimal]


class FormulaMalformed(InvalidArgument):
    """The formula cannot be read."""

    code = "template.formula_malformed"


class FormulaFailed(InvalidArgument):
    """The formula has no usable value for a line."""

    code = "template.formula_failed"


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read once without fault."""

    text: str

    def value(self, values: Values) -> Decimal:
        """Return the result for a line's `VARIABLES`.

        Raises:
            FormulaFailed: it divides by zero, or its value is negative or `RESULT_MAX` or more.
        """
        try:
            result = _compiled(self.text)(values)
        except DecimalException as error:
            raise FormulaFailed(
                f"{self.text!r} cannot be computed for the line",
                advice="guard divisors with max(…, 1)",
            ) from error
        if not 0 <= result < RESULT_MAX:
            raise FormulaFailed(
                f"{self.text!r} gives {result:f} for the line",
                advice=f"let it give zero or more, and less than {RESULT_MAX:f}",
            )
        return result


def read_formula(text: str, *, field: str) -> Formula:
    """Return the formula.

    Raises:
        FormulaMalformed: names the position, counted from 1, where it stops making sense.
    """
    try:
        _compiled(text)
    except _Fault as fault:
        raise FormulaMalformed(
            f"{fault.reason} at position {fault.position + 1} of {text!r}",
            field=field,
            advice=f"use numbers, + - * / ( ), min, max, round and {', '.join(VARIABLES)}",
        ) from None
    return Formula(text)


class _Fault(Exception):
    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@lru_cache(maxsize=4096)
def _compiled(text: str) -> _Node:
    if len(text) > LENGTH_MAX:
        raise _Fault(f"more than {LENGTH_MAX} characters", LENGTH_MAX)
    return _Parser(_tokens(text)).parse()


def _tokens(text: str) -> Sequence[_Token]:
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            at = position + len(text[position:]) - len(text[position:].lstrip())
            raise _Fault(f"unexpected {text[at]!r}", at)
        assert match.lastgroup is not None
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return [*found, _Token("end", "", end)]


class _Parser:
    """Reads tokens from left to right, one rule of the grammar a method."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def parse(self) -> _Node:
        node = self._sum()
        if self._token.kind != "end":
            raise _Fault(f"unexpected {self._token.text!r}", self._token.position)
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _take_if(self, *texts: str) -> _Token | None:
        is_wanted = self._token.kind == "sign" and self._token.text in texts
        return self._take() if is_wanted else None

    def _expect(self, text: str) -> None:
        if self._take_if(text) is None:
            raise _Fault(f"{text!r} expected", self._token.position)

    def _sum(self) -> _Node:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise _Fault(f"nested more than {_DEPTH_MAX} deep", self._token.position)
        node = self._product()
        while operator := self._take_if("+", "-"):
            node = _binary(operator.text, node, self._product())
        self._depth -= 1
        return node

    def _product(self) -> _Node:
        node = self._sign()
        while operator := self._take_if("*", "/"):
            node = _binary(operator.text, node, self._sign())
        return node

    def _sign(self) -> _Node:
        if self._take_if("-"):
            node = self._atom()
            return lambda values: -node(values)
        return self._atom()

    def _atom(self) -> _Node:
        token = self._take()
        if token.kind == "number":
            number = Decimal(token.text)
            return lambda values: number
        if token.kind == "name" and token.text in _FUNCTIONS:
            return self._call(token)
        if token.kind == "name" and token.text in VARIABLES:
            return lambda values: values[token.text]
        if token.kind == "name":
            raise _Fault(f"unknown name {token.text!r}", token.position)
        if token.text == "(":
            node = self._sum()
            self._expect(")")
            return node
        raise _Fault("a number or a name expected", token.position)

    def _call(self, name: _Token) -> _Node:
        self._expect("(")
        if name.text == "round":
            return self._round()
        arguments = [self._sum()]
        while self._take_if(","):
            arguments.append(self._sum())
        self._expect(")")
        choose = min if name.text == "min" else max
        return lambda values: choose(argument(values) for argument in arguments)

    def _round(self) -> _Node:
        argument, places = self._sum(), 0
        if self._take_if(","):
            token = self._take()
            if token.kind != "number" or not token.text.isdigit() or int(token.text) > _PLACES_MAX:
                raise _Fault(f"a whole number from 0 to {_PLACES_MAX} expected", token.position)
            places = int(token.text)
        self._expect(")")
        return lambda values: round_half_away(argument(values), places)


def _binary(operator: str, left: _Node, right: _Node) -> _Node:
    apply = {
        "+": _PRECISION.add,
        "-": _PRECISION.subtract,
        "*": _PRECISION.multiply,
        "/": _PRECISION.divide,
    }[operator]
    return lambda values: apply(left(values), right(values))
