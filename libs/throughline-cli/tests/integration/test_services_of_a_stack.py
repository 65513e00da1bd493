"""A stack with a service: migrated by its owner, told its settings, kept alive, ended first."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.guard import Guard
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.services import ServiceSpec
from throughline_cli.stack.stack import Stack
from throughline_cli.stack.state import Phase, read_state
from throughline_cli.stack.supervisor import Supervisor

TOYS = Path(__file__).parents[1] / "toy"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A data folder, with the toy service importable by the processes of the stack."""
    monkeypatch.setenv("PYTHONPATH", str(TOYS))
    monkeypatch.setenv("TOY_NOTES", str(tmp_path))
    layout = Layout.at(tmp_path / "stack")
    layout.prepare()
    return layout


@asynccontextmanager
async def running(
    layout: Layout, service: ServiceSpec, eventually: Callable[..., None]
) -> AsyncIterator[Stack]:
    """Supervise a stack of one service inside the test's own process."""
    stack = Stack.prepare(layout, [service], sandbox=False)
    with layout.lock.open("w") as lock:
        guard = Guard(layout.folder, lock=lock.fileno(), remove=stack.postgres.sockets)
        stop = asyncio.Event()
        supervising = asyncio.create_task(Supervisor(stack, guard).run(stop))
        try:
            await asyncio.to_thread(eventually, lambda: supervising.done() or _is_ready(layout))
            if supervising.done():
                await supervising
            yield stack
        finally:
            stop.set()
            with suppress(StackFailure):
                await supervising
            guard.close()


def _is_ready(layout: Layout) -> bool:
    state = read_state(layout)
    return state is not None and state.phase == Phase.READY


def _pid(layout: Layout) -> int | None:
    state = read_state(layout)
    programs = () if state is None else state.programs
    return next((program.pid for program in programs if program.name == "toy-service"), None)


def _noted(folder: Path, role: str) -> dict[str, str]:
    """Return the settings a process of the toy service was given, files replaced by their text."""
    noted: dict[str, str] = json.loads((folder / f"{role}.json").read_text())
    return {
        name.removesuffix("_FILE"): Path(value).read_text() if name.endswith("_FILE") else value
        for name, value in noted.items()
    }


async def test_a_service_runs_on_what_the_stack_made_for_it(
    layout: Layout, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    async with running(layout, ServiceSpec("toy-service"), eventually) as stack:
        migrating, serving = _noted(tmp_path, "migrate"), _noted(tmp_path, "all")
        first = _pid(layout)
        assert first is not None

        psutil.Process(first).kill()
        await asyncio.to_thread(eventually, lambda: _pid(layout) not in {first, None})

    assert "//toy_service_owner:" in migrating["THROUGHLINE_DATABASE_OWNER_URL"]
    assert "THROUGHLINE_DATABASE_OWNER_URL" not in serving
    assert "//toy_service:" in serving["THROUGHLINE_DATABASE_URL"]
    assert serving["THROUGHLINE_ENVIRONMENT"] == "production"
    assert [durable.name for durable in stack.durables["toy-service"]] == ["toy-service-ignore"]
    assert _pid(layout) is None


async def test_a_service_that_does_not_start_takes_the_stack_down_with_its_reason(
    layout: Layout, eventually: Callable[..., None]
) -> None:
    with pytest.raises(StackFailure, match="unknown role"):
        async with running(layout, ServiceSpec("toy-service", role="unheard-of"), eventually):
            pass

    assert _pid(layout) is None
