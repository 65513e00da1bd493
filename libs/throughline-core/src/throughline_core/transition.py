"""State machines as tables: every legal move is listed, every other move is refused."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from throughline_core.errors import IllegalTransition

Status = TypeVar("Status", bound=StrEnum)


def move(
    subject: str, current: Status, target: Status, transitions: Mapping[Status, frozenset[Status]]
) -> Status:
    """Return `target` if the table allows the move from `current`.

    `subject` names the object in the refusal ("contract 0198…").

    Raises:
        IllegalTransition: the table has no such move.
    """
    if target in transitions[current]:
        return target
    reachable = ", ".join(sorted(transitions[current])) or "nothing: this state is final"
    raise IllegalTransition(
        f"{subject} is {current} and cannot become {target}",
        advice=f"from {current} it can become {reachable}",
    )
