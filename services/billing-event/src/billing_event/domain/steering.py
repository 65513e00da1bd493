"""People start, stop and resume runs; when nothing is left, a run is done."""

from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from billing_event.domain.job import TRANSITIONS, RunStatus
from billing_event.domain.release_run import ReleaseRun
from billing_event.domain.shadow import ShadowRun
from throughline_core.transition import move

R = TypeVar("R", ReleaseRun, ShadowRun)


def steered(run: R, status: RunStatus, *, at: datetime) -> R:
    """Return the run in another status, one version on.

    Raises:
        IllegalTransition: it does not lead there.
    """
    move(run.name_in_words, run.status, status, TRANSITIONS)
    finished_at = at if status is RunStatus.DONE else None
    return replace(run, status=status, version=run.version + 1, finished_at=finished_at)
