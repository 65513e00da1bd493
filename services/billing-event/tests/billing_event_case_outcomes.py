"""What is so at the end of a case, in the words it is written in, and the check of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from billing_event_case_scene import Scene
from billing_event_case_terms import CUSTOMERS, Words
from billing_event_world import fetch, totals

from throughline_core.money import Money

_ROWS: Final = """
    SELECT event.*, position.status, source_item.reverses_source_item_id,
           coalesce((SELECT string_agg(reason, ' ' ORDER BY reason) FROM hold
                     WHERE hold.billing_event_id = event.billing_event_id
                       AND cleared_at IS NULL), '') AS reasons
    FROM billing_event AS event JOIN position USING (billing_event_id)
    JOIN source_item USING (source_item_id)
    ORDER BY source_item_id, part
"""


def printed(amount: Decimal, currency: str) -> str:
    """Return an amount as a document rounds it."""
    return f"{Money(amount, currency).rounded().amount:f}"


def _quantity(row: Any) -> str:
    if row.unit == "hour":
        return f"{row.quantity:.2f} h"
    return f"{row.quantity.normalize():f}"


def _row(row: Any, letter: str) -> str:
    """Return a row: `A 9.00 h x 100.00 = 900.00 released`."""
    rate = f"{row.unit_rate.normalize():f}"
    rate = f"{row.unit_rate:.2f}" if len(rate.partition(".")[2]) <= 2 else rate
    amount = printed(row.amount, row.currency)
    words = f"{letter} {_quantity(row)} x {rate} = {amount} {row.status}"
    if row.reasons:
        words += f": {row.reasons}"
    payer = {customer: name for name, customer in CUSTOMERS.items()}[row.bill_to_customer_id]
    return words if payer == "alpha" else f"{words}, {payer} pays"


async def rows(scene: Scene) -> list[str]:
    """Return all rows by the order in which things were named, then part."""
    letters = {thing: letter for letter, thing in scene.things.items()}
    order = {thing: number for number, thing in enumerate(scene.things.values())}
    found = await fetch(scene.engine, _ROWS)
    found = sorted(
        found,
        key=lambda row: (order.get(row.source_item_id, 999), row.service_from, row.type, row.part),
    )
    return [_row(row, letters.get(row.source_item_id, f"{row.service_from}")) for row in found]


async def waiting(scene: Scene) -> list[str]:
    """Return things without a row and why: `A missing_rate`."""
    letters = {thing: letter for letter, thing in scene.things.items()}
    found = await fetch(
        scene.engine,
        """SELECT source_item_id, reason FROM hold
           WHERE billing_event_id IS NULL AND cleared_at IS NULL""",
    )
    return sorted(f"{letters[row.source_item_id]} {row.reason}" for row in found)


async def covered(scene: Scene) -> list[str]:
    """Return things that have no row on purpose."""
    letters = {thing: letter for letter, thing in scene.things.items()}
    found = await fetch(scene.engine, "SELECT source_item_id FROM covered_item")
    return sorted(letters[row.source_item_id] for row in found)


async def ways_out(scene: Scene) -> dict[str, str]:
    """Return who has to do what about each reason that holds something: `owner: advice`.

    As a caller is told it.
    """
    from billing_event.domain.hold import WAYS_OUT, HoldReason  # noqa: PLC0415

    found = await fetch(
        scene.engine,
        "SELECT DISTINCT reason, owner, advice FROM hold WHERE cleared_at IS NULL",
    )
    return {
        row.reason: f"{row.owner}: {row.advice or WAYS_OUT[HoldReason(row.reason)].advice}"
        for row in found
    }


async def position(scene: Scene) -> dict[str, str]:
    """Return the figures of everything that is rated, before tax."""
    figures = (await totals(scene.engine))["positions"]
    return {
        name.removesuffix(".EUR").replace("_", " "): printed(Decimal(value), "EUR")
        for name, value in figures.items()
        if name.endswith(".EUR")
    }


async def to_bill(scene: Scene) -> str:
    """Return the hours that are released and that no invoice has."""
    [row] = await fetch(
        scene.engine,
        """SELECT coalesce(sum(position.quantity - allocated_quantity), 0) AS hours
           FROM billing_event JOIN position USING (billing_event_id)
           WHERE unit = 'hour' AND status = 'released'""",
    )
    return f"{row.hours:.2f} h"


async def limits(scene: Scene) -> list[str]:
    """Return the limits: `line: 1000.00 agreed, 900.00 reserved, 0.00 committed`."""
    found = await fetch(
        scene.engine, "SELECT * FROM limit_account ORDER BY scope, customer_id, enforced"
    )
    return [
        f"{row.scope.replace('_', ' ')}: {row.enforced:.2f} enforced, {row.reserved:.2f} reserved,"
        f" {row.committed:.2f} committed"
        for row in found
    ]


async def exceptions(scene: Scene) -> list[str]:
    """Return the kinds of what is in the exceptions queue."""
    found = await fetch(scene.engine, "SELECT kind FROM exception_item WHERE closed_at IS NULL")
    return sorted(row.kind for row in found)


async def charges(scene: Scene) -> list[str]:
    """Return what one entity owes another: `2026-09-16 8.00 h = 960.00`."""
    found = await fetch(
        scene.engine, "SELECT * FROM intercompany_charge ORDER BY work_date, rated_at"
    )
    return [f"{row.work_date} {row.quantity:.2f} h = {row.amount:.2f}" for row in found]


async def retainer(scene: Scene) -> list[str]:
    """Return the first periods of a retainer with what moved them."""
    found = await fetch(
        scene.engine,
        "SELECT * FROM retainer_period WHERE status <> 'planned' ORDER BY period_from",
    )
    return [
        f"{row.period_from:%Y-%m}: {row.granted:.2f} granted + {row.carried_in:.2f} carried in"
        f" - {row.drawn:.2f} drawn - {row.carried_out:.2f} carried out - {row.lapsed:.2f} lapsed"
        f" = {row.balance:.2f}"
        for row in found
    ]


async def rated_on(scene: Scene) -> list[str]:
    found = await fetch(scene.engine, "SELECT DISTINCT rated_on FROM billing_event ORDER BY 1")
    return [f"{row.rated_on}" for row in found]


async def explained(scene: Scene) -> str:
    """Return how the rates of all rows came to be."""
    found = await fetch(scene.engine, "SELECT rate_explanation FROM billing_event ORDER BY part")
    return "; ".join(row.rate_explanation for row in found)


_LISTED: Final[Mapping[str, Callable[[Scene], Awaitable[Any]]]] = {
    "rows": rows,
    "waiting": waiting,
    "covered": covered,
    "to bill": to_bill,
    "limits": limits,
    "exceptions": exceptions,
    "charges": charges,
    "retainer": retainer,
    "rated on": rated_on,
}


async def check(scene: Scene, then: Words) -> None:
    """Compare the ledger with what a case expects of it.

    Of figures, ways out and explanations only those named; nothing waits unless it is said.
    """
    for name, expected in {"waiting": [], **then}.items():
        if name in _LISTED:
            found = _as_written(await _LISTED[name](scene))
            assert found == _as_written(expected), f"{name} are {found}"
        elif name == "position":
            figures = await position(scene)
            found = {each: figures[each] for each in expected}
            assert found == _as_written(expected), f"the position is {figures}"
        elif name == "ways out":
            _check_ways_out(await ways_out(scene), expected)
        elif name == "explained":
            told = await explained(scene)
            assert expected in told, f"explained as {told}"
        else:
            assert name == "refused", f"{name} is no outcome of a case"


def _check_ways_out(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    assert sorted(found) == sorted(expected), f"held for {found}"
    for reason, words in expected.items():
        assert words in found[reason], f"{reason} says {found[reason]}"


def _as_written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_written(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_written(each) for each in value]
    return str(value)
