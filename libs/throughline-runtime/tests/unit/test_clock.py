"""Business time is real time, moved by the offset a sandbox was given."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from throughline_runtime.clock import Clock

NOON = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)


def test_business_time_is_real_time_by_default(tmp_path: Path) -> None:
    with time_machine.travel(NOON, tick=False):
        assert Clock().now() == Clock(tmp_path / "absent").now() == NOON


def test_a_day_is_the_zone_s_own() -> None:
    with time_machine.travel(NOON, tick=False):
        assert Clock().today("Europe/Berlin") == date(2026, 4, 1)
        assert Clock().today("America/New_York") == date(2026, 3, 31)


def test_the_clock_follows_its_file_as_it_is_replaced_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = Clock(file)

    def move(seconds: int) -> None:
        draft = tmp_path / "draft"
        draft.write_text(f"{seconds}\n")
        draft.replace(file)

    with time_machine.travel(NOON, tick=False):
        move(86_400)
        assert clock.now() == NOON + timedelta(days=1)
        move(-3_600)
        assert clock.now() == NOON - timedelta(hours=1)
        file.unlink()
        assert clock.now() == NOON


def test_an_offset_nobody_can_read_stops_rather_than_guesses(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("tomorrow")
    with pytest.raises(ValueError, match="tomorrow"):
        Clock(tmp_path / "clock").now()
