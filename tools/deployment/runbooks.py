"""Whether the runbooks speak of commands, paths and pages that exist."""

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import typer

from throughline_cli.main import app
from tools.deployment import declared

_FENCED: Final = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_PAGE: Final = re.compile(r"`([a-z-]+\.md)`")
_PATH: Final = re.compile(r"/v1/[^\s\"'`?)]+")
_COMMAND: Final = re.compile(r"(?:^|&& |; |\$\()throughline ([^&;|#)\n]+)", re.MULTILINE)


def problems(name: str, text: str, pages: Sequence[str]) -> Iterator[str]:
    """Find in a page what a reader would try in vain."""
    code = "\n".join([*_FENCED.findall(text), *_INLINE.findall(_FENCED.sub("", text))])
    for page in _PAGE.findall(text):
        if page not in pages:
            yield f"{name}: there is no page {page}"
    for path in sorted(set(_PATH.findall(code))):
        if not any(template.fullmatch(path) for template in _templates()):
            yield f"{name}: there is no path {path}"
    for command in _COMMAND.findall(code):
        if (problem := _command_problem(command)) is not None:
            yield f"{name}: throughline {command.strip()}: {problem}"


def _command_problem(text: str) -> str | None:
    """Return what of a command line the program does not know."""
    command: Any = typer.main.get_command(app)
    for word in shlex.split(text):
        if word.startswith("-"):
            options = {option for each in command.params for option in each.opts}
            if word.partition("=")[0] not in options | {"--help"}:
                return f"no option {word}"
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
    return None


@cache
def _templates() -> Sequence[re.Pattern[str]]:
    """Return the REST paths there are, each variable as anything but a separator."""
    return [
        re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path)))
        for path in declared.rest_paths()
    ]
