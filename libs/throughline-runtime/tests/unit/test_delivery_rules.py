"""The pure rules of delivery: what is retried, what is parked, who waits, and how long."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StaleVersion,
    Unauthenticated,
    Unavailable,
)
from throughline_runtime.consumer import delay_seconds
from throughline_runtime.database import Contended, DatabaseOverloaded
from throughline_runtime.intake import ATTEMPTS, Outcome, judge
from throughline_runtime.outbox import LANES, lane_of
from throughline_runtime.pace import Backoff
from throughline_runtime.relay import waves


@pytest.mark.parametrize(
    "failure",
    [
        NotFound("its parent is not here yet"),
        StaleVersion("another writer was faster"),
        Contended("the row is held"),
        Unavailable("a peer is away"),
        DatabaseOverloaded("too slow"),
        ResourceExhausted("later"),
        ZeroDivisionError("a bug"),
    ],
)
def test_what_time_may_cure_is_tried_again_until_the_last_attempt(failure: Exception) -> None:
    for attempt in range(1, ATTEMPTS):
        assert judge(failure, attempt=attempt).outcome is Outcome.RETRIED
    assert judge(failure, attempt=ATTEMPTS).outcome is Outcome.PARKED


@pytest.mark.parametrize(
    "failure",
    [
        InvalidArgument("malformed"),
        Unauthenticated("unknown"),
        PermissionDenied("not allowed"),
        AlreadyExists("there is one"),
        FailedPrecondition("not in this state"),
    ],
)
def test_a_refusal_that_would_only_be_repeated_is_parked_at_once(failure: Exception) -> None:
    assert judge(failure, attempt=1).outcome is Outcome.PARKED


def test_a_bug_is_named_by_its_class_only_because_its_text_may_quote_a_row() -> None:
    verdict = judge(ValueError("iban DE02120300000000202051"), attempt=1)
    assert verdict.reason == "ValueError, see the log"


def test_a_message_rests_longer_after_each_failure_up_to_a_minute() -> None:
    assert [delay_seconds(attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_loop_rests_longer_after_each_failure_and_never_long() -> None:
    backoff = Backoff()
    rests = [backoff.grow() for _ in range(50)]
    assert 0.05 <= rests[0] <= 0.1
    assert 2.5 <= rests[-1] <= 5
    assert not backoff.is_over
    backoff.reset()
    assert backoff.is_over


@given(st.lists(st.integers(min_value=0, max_value=5)))
def test_a_wave_has_no_two_events_of_an_aggregate_and_waves_keep_its_order(
    aggregates: list[int],
) -> None:
    rows: list[Any] = [
        SimpleNamespace(aggregate_id=UUID(int=number), position=position)
        for position, number in enumerate(aggregates)
    ]

    found = waves(rows)

    for wave in found:
        assert len({row.aggregate_id for row in wave}) == len(wave)
    sent = [row for wave in found for row in wave]
    for number in set(aggregates):
        positions = [row.position for row in sent if row.aggregate_id == UUID(int=number)]
        assert positions == sorted(positions)
    assert len(sent) == len(rows)


@given(st.uuids())
def test_an_aggregate_has_one_lane_for_ever(aggregate_id: UUID) -> None:
    assert lane_of(aggregate_id) == lane_of(UUID(str(aggregate_id)))
    assert 0 <= lane_of(aggregate_id) < LANES


def test_all_lanes_are_used() -> None:
    assert {lane_of(UUID(int=number)) for number in range(200)} == set(range(LANES))
