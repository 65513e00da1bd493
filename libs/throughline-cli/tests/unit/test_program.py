"""How a program that keeps dying is started again, and what is shown of its log."""

from pathlib import Path

from throughline_cli.stack.program import backoff_seconds, tail


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [backoff_seconds(failures) for failures in range(1, 10)] == [
        0.5,
        1.0,
        2.0,
        4.0,
        8.0,
        16.0,
        30.0,
        30.0,
        30.0,
    ]


def test_a_program_that_never_lives_long_is_still_tried() -> None:
    assert backoff_seconds(5_000) == 30.0


def test_a_tail_is_the_last_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1_000)))

    assert tail(log, lines=2) == "line 998\nline 999"
    assert tail(log, lines=0) == ""
    assert tail(log, lines=2, since=log.stat().st_size - 9) == "line 999"
    assert tail(tmp_path / "absent", lines=2) == ""
