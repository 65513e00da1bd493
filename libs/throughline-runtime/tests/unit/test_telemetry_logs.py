"""Logs are JSON lines with ids and the trace, and hold no personal data."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy.exc import IntegrityError

from throughline_runtime.telemetry import logs
from throughline_runtime.telemetry.ids import working_on

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("billing-event", "serve", "info", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_names_event_service_role_level_and_instant(lines: Lines) -> None:
    structlog.get_logger().info("event_rated", rows=3)

    [line] = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "event_rated",
        "rows": 3,
        "service": "billing-event",
        "role": "serve",
        "level": "info",
    }


def test_a_line_carries_the_ids_worked_on_and_the_trace(lines: Lines) -> None:
    span = TracerProvider().get_tracer("test").start_as_current_span("work")
    with span as opened, working_on({"engagement_id": "e-1", "correlation_id": "c-1"}):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")

    inside, outside = lines()
    assert (inside["engagement_id"], inside["correlation_id"]) == ("e-1", "c-1")
    assert inside["trace_id"] == f"{opened.get_span_context().trace_id:032x}"
    assert outside.keys().isdisjoint({"engagement_id", "correlation_id", "trace_id", "span_id"})


def test_what_libraries_log_comes_out_in_the_same_form(lines: Lines) -> None:
    logging.getLogger("some.library").warning("disk %s is full", "A")

    [line] = lines()
    assert (line["event"], line["logger"], line["service"]) == (
        "disk A is full",
        "some.library",
        "billing-event",
    )


def test_a_level_below_the_configured_one_is_silent(lines: Lines) -> None:
    structlog.get_logger().debug("detail")
    logging.getLogger("some.library").debug("detail")

    assert lines() == []


def test_a_failure_is_told_with_its_chain_of_causes_and_places(lines: Lines) -> None:
    try:
        try:
            raise KeyError("rate")
        except KeyError as error:
            raise ValueError("no rate") from error
    except ValueError:
        structlog.get_logger().exception("rating_failed")

    [line] = lines()
    outer, inner = line["exception"]
    assert (outer["type"], outer["message"]) == ("builtins.ValueError", "no rate")
    assert (inner["type"], inner["message"]) == ("builtins.KeyError", "'rate'")
    assert "test_telemetry_logs.py" in outer["frames"][-1]


def test_a_database_error_keeps_the_row_it_quotes_to_itself(lines: Lines) -> None:
    error = IntegrityError(
        "INSERT INTO customer VALUES (%s)", ("Jane Doe",), Exception("Key (name)=(Jane Doe)")
    )
    structlog.get_logger().error("rpc_failed", exc_info=error)

    assert "Jane" not in json.dumps(lines())


def test_failures_that_came_together_are_all_told(lines: Lines) -> None:
    group = ExceptionGroup("parts", [ValueError("one"), KeyError("two")])
    structlog.get_logger().error("part_failed", exc_info=group)

    [line] = lines()
    [described] = line["exception"]
    assert [inner[0]["type"] for inner in described["exceptions"]] == [
        "builtins.ValueError",
        "builtins.KeyError",
    ]
