"""Guides that are told as they are read: every request pasted into one shell, in order.

A block fenced as `sh` is pasted. The block fenced as `text` or `json` that follows it is what comes
back: line by line, `…` for anything within a line, and for any lines where it stands alone. What
begins with `error:` says that the request is refused, and how.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

GUIDES: Final = Path(__file__).parents[1] / "docs" / "guides"

_FENCE: Final = "```"
_PASTED: Final = "sh"
_SHOWN: Final = frozenset({"text", "json"})
_ANYTHING: Final = "…"
_REFUSED: Final = "error:"
_TIMEOUT_SECONDS: Final = 600

# The sandbox has a calendar of its own; a guide asks for the day as anybody does.
_PREAMBLE: Final = """\
set -euo pipefail
date() { if [ "$*" = +%F ]; then echo "$SANDBOX_TODAY"; else command date "$@"; fi; }
"""


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fenced block as it stands in a guide."""

    line: int
    """Of its first line of content, from 1."""
    language: str
    text: str
    """Without the fences, without what the whole block is indented by."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is pasted, and what the guide says comes back."""

    line: int
    script: str
    outcome: str | None

    @property
    def is_refused(self) -> bool:
        return self.outcome is not None and self.outcome.startswith(_REFUSED)


def tell(guide: str, *, folder: Path, today: date) -> None:
    """Paste a guide's requests against the stack in `folder`, whose calendar says `today`.

    Raises:
        AssertionError: a request fails, is not refused, or something else comes back; the message
            names guide and line.
    """
    requests = list(requests_of((GUIDES / guide).read_text(encoding="utf-8")))
    assert requests, f"{guide} has nothing to paste"
    with TemporaryDirectory(prefix="tl-guide-") as scratch:
        answers = Path(scratch)
        done = subprocess.run(
            ["bash", "-s"],
            input=script_of(requests, answers),
            env=_environment(folder, today),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        for index, request in enumerate(requests):
            where = f"docs/guides/{guide}:{request.line}"
            _require(request, answers / str(index), where, done.stderr)
        assert done.returncode == 0, done.stderr


def requests_of(text: str) -> Iterator[Request]:
    """Yield the requests of a guide in its order."""
    blocks = [*_fenced(text), Fenced(0, "", "")]
    for block, following in pairwise(blocks):
        if block.language == _PASTED:
            shown = following.language in _SHOWN
            yield Request(block.line, block.text, following.text if shown else None)


def shows(outcome: str, answer: str) -> bool:
    """Return whether an answer is what a guide shows of it."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == _ANYTHING else _line_pattern(line)
        for line in outcome.splitlines()
    )
    lines = [line.rstrip() for line in answer.splitlines()]
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def script_of(requests: Sequence[Request], answers: Path) -> str:
    """Return one script that pastes all requests; files in `answers` tell how far it came."""
    return _PREAMBLE + "".join(
        _pasted(request, answers / str(index)) for index, request in enumerate(requests)
    )


def _require(request: Request, answer: Path, where: str, complaint: str) -> None:
    out, err = answer.with_suffix(".out"), answer.with_suffix(".err")
    assert out.exists(), f"{where} was not reached\n{complaint}"
    said = out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
    wrong = "is not refused" if request.is_refused else "fails"
    assert answer.with_suffix(".ok").exists(), f"{where} {wrong}\n{''.join(said)}"
    if request.outcome is not None:
        came = said[1] if request.is_refused else said[0]
        shown = f"shown:\n{request.outcome}\n\ncame back:\n{came}"
        assert shows(request.outcome, came), f"{where} says that something else comes back\n{shown}"


def _pasted(request: Request, answer: Path) -> str:
    block = f"{{\n{request.script}\n}} >'{answer}.out' 2>'{answer}.err'"
    if request.is_refused:
        block = f"if {block}; then exit 1; fi"
    return f"{block}\ntouch '{answer}.ok'\n"


def _line_pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.rstrip().split(_ANYTHING))) + r"\n"


def _fenced(text: str) -> Iterator[Fenced]:
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = line.startswith(_FENCE)
        if opened is None and fence:
            opened = (number + 1, line.removeprefix(_FENCE).strip(), [])
        elif opened is not None and fence:
            first, language, lines = opened
            yield Fenced(first, language, "\n".join(lines))
            opened = None
        elif opened is not None:
            opened[2].append(line)
    assert opened is None, f"the fence of line {opened and opened[0]} is not closed"


def _environment(folder: Path, today: date) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "THROUGHLINE_FOLDER": str(folder),
        "SANDBOX_TODAY": today.isoformat(),
        "LC_ALL": "C.UTF-8",
    }
