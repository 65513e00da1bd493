"""Every table of cases in tests/cases, through the real consumers and calls, on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any, Final, TypeAlias

import billing_event_case_changes as changes
import billing_event_case_retainers as blocks
import billing_event_case_sources as sources
import pytest
import yaml
from billing_event_case_events import customer
from billing_event_case_outcomes import check
from billing_event_case_scene import LettingGo, MoveClock, Scene
from billing_event_case_steps import STEPS
from billing_event_case_terms import CUSTOMERS
from billing_event_world import assert_sound
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline_core.errors import Refusal
from throughline_runtime.context import Context
from throughline_testing.serving import Running

CASES: Final = Path(__file__).parents[1] / "cases"
STORIES: Final = ("vectors", "hard_cases", "bad_days", "positions", "given_up", "rerating_runs")
"""Files whose cases are played step by step."""

Case: TypeAlias = dict[str, Any]
TABLES: Final[Mapping[str, Callable[[Scene, Case], Awaitable[None]]]] = {
    "usage": sources.usage,
    "progress": sources.progress,
    "adjustments": sources.adjustments,
    "purchases": sources.purchases,
    "exchange": sources.exchange,
    "recurring": sources.recurring,
    "limits": changes.limits,
    "retainers": blocks.retainers,
    "rerating": changes.rerating,
}
"""Files whose cases are rows of one kind, with words of their own."""

STARTS_AT: Final = datetime(2026, 9, 14, 12, tzinfo=UTC)


def cases(*names: str) -> Iterator[Any]:
    """Return the cases of files; one that holds in any order, once for each order of its steps."""
    for name in names:
        text = (CASES / f"{name}.yaml").read_text(encoding="utf-8")
        for case in yaml.load(text, Loader=yaml.BaseLoader):
            orders = permutations(case["when"]) if case.get("order") == "any" else [None]
            for number, when in enumerate(orders):
                order = f" (order {number + 1})" if number else ""
                played = case if when is None else {**case, "when": when}
                yield pytest.param(played, id=f"{name}: {case['case']}{order}")


@pytest.fixture
def invoicing() -> LettingGo:
    return LettingGo()


@pytest.fixture
async def peers(invoicing: LettingGo) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


@pytest.fixture
def scene(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    invoicing: LettingGo,
    move_clock: MoveClock,
) -> Scene:
    move_clock(STARTS_AT)
    return Scene(engine, running, context, invoicing, move_clock)


async def play(scene: Scene, case: Case) -> None:
    """Let a case happen: the customers and, unless it comes later, the contract are known."""
    given = dict(case.get("given") or {})
    unknown = given.pop("unknown", [])
    for name in CUSTOMERS:
        if name not in unknown:
            await customer(scene, name)
    is_later = given.pop("contract", "known") == "later"
    scene.terms = given
    steps = [(verb, words) for step in case["when"] for verb, words in step.items()]
    if not is_later and "contract in force" not in dict(steps):
        await STEPS["contract in force"](scene, {})
    refused = case["then"].get("refused")
    for number, (verb, words) in enumerate(steps, start=1):
        if refused and number == len(steps):
            with pytest.raises(Refusal) as refusal:
                await STEPS[verb](scene, words)
            assert refusal.value.stable_code == refused
        else:
            await STEPS[verb](scene, words)
    await schedules.reconsider_held(scene.context)
    await schedules.report_held(scene.context)
    await schedules.report_changes(scene.context)


@pytest.mark.parametrize("case", list(cases(*STORIES)))
async def test_case(scene: Scene, case: Case) -> None:
    await play(scene, case)
    await check(scene, case["then"])
    await assert_sound(scene.engine)


@pytest.mark.parametrize(
    ("table", "case"),
    [pytest.param(name, *each.values, id=each.id) for name in TABLES for each in cases(name)],
)
async def test_table(scene: Scene, table: str, case: Case) -> None:
    for name in CUSTOMERS:
        await customer(scene, name)
    await TABLES[table](scene, case)
    await assert_sound(scene.engine)


def test_every_file_of_cases_is_played() -> None:
    found = {path.stem for path in CASES.glob("*.yaml")}
    assert found == {*STORIES, *TABLES}
