"""Contract tests: what a publisher and its consumers are told when they no longer agree."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    MilestoneCompleted,
    RunPaused,
)
from throughline_runtime.events import Outgoing, subject_of
from throughline_testing import samples
from throughline_testing.samples import ContractBroken, assert_matches_sample, sample

SUBJECT = subject_of(RunPaused)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose samples a test may spoil; holds the real one of one event."""
    folder = tmp_path / "proto" / "samples"
    folder.mkdir(parents=True)
    agreed = samples.sample_file(RunPaused)
    (folder / agreed.name).write_text(agreed.read_text())
    monkeypatch.setattr(samples, "_REPOSITORY", tmp_path)
    return folder


def _outgoing(message: RunPaused | MilestoneCompleted) -> Outgoing:
    return Outgoing(message, aggregate_id=uuid4(), aggregate_version=1)


def test_a_publisher_that_produces_the_sample_keeps_the_contract() -> None:
    assert_matches_sample(_outgoing(sample(RunPaused)), RunPaused)


def test_a_publisher_that_changed_is_told_the_difference_and_whom_to_ask() -> None:
    changed = sample(RunPaused)
    changed.reason = "something new"

    with pytest.raises(ContractBroken) as broken:
        assert_matches_sample(_outgoing(changed), RunPaused)

    said = str(broken.value)
    assert '+  "reason": "something new"' in said
    assert f"{SUBJECT} is published by project-provisioning and consumed by " in said
    assert "have to talk" in said


def test_another_event_than_agreed_breaks_the_contract() -> None:
    with pytest.raises(ContractBroken, match=f"instead of {SUBJECT}"):
        assert_matches_sample(_outgoing(MilestoneCompleted()), RunPaused)


def test_an_event_without_a_sample_breaks_the_contract(repository: Path) -> None:
    (repository / f"{SUBJECT}.json").unlink()

    with pytest.raises(ContractBroken, match="has no sample"):
        sample(RunPaused)


def test_a_sample_with_a_field_the_message_lost_breaks_the_contract(repository: Path) -> None:
    (repository / f"{SUBJECT}.json").write_text('{"a_field_that_was": 1}')

    with pytest.raises(ContractBroken, match="a_field_that_was"):
        sample(RunPaused)


def test_a_consumer_that_fails_over_a_sample_is_told_who_publishes_it(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(
        f"from {RunPaused.__module__} import RunPaused\n\n"
        "def test_consumes(sample):\n"
        "    assert sample(RunPaused).reason == 'what it was before'\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_inner.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 failed" in done.stdout
    assert f"{SUBJECT} is published by project-provisioning and consumed by " in done.stdout
