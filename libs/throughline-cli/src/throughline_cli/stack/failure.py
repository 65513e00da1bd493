"""What went wrong with the stack, in words a person can act on."""

from pathlib import Path
from typing import ClassVar


class StackFailure(Exception):
    """The stack could not do what was asked; `advice` says what to try."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.advice = advice


class NotRunning(StackFailure):
    """The command needs a running stack and there is none."""

    exit_code = 3

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no stack runs in {folder}", advice="start one with `throughline up`")
