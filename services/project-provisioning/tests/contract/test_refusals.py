"""The comments of the methods tell the truth about what is refused."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import project_provisioning
from throughline_core.errors import Refusal

PROTO = Path(__file__).resolve().parents[4] / "proto/throughline/project_provisioning/v1"
# A check catches the first, and the run pauses; the second is answered under the code of its rule.
NEVER_ANSWERED = {"template.formula_failed", "time_entry.cannot_correct"}
# Rows of an import are refused by rules that are no exceptions; peers refuse what is asked of them.
ELSEWHERE = ("time_entry.", "time_rule.", "quote.", "contract.", "source.")
CODE = re.compile(r"\b[a-z_]+\.[a-z_]+\b")


def documented_codes() -> set[str]:
    """Return every code behind a `Refuses:` in the comments of the services."""
    codes = set()
    for file in PROTO.glob("*_service.proto"):
        flowing = re.sub(r"\n\s*//\s?", " ", file.read_text())
        for sentence in re.findall(r"Refuses: (.*?)\.(?:\s|$)", flowing, flags=re.DOTALL):
            codes.update(CODE.findall(sentence))
    return codes


def refusals() -> set[str]:
    """Return the codes of all refusals this service can raise by itself."""
    for module in walk_packages(project_provisioning.__path__, "project_provisioning."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    return {
        kind.code
        for kind in _subclasses(Refusal)
        if kind.__module__.startswith("project_provisioning.")
    }


def _subclasses(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def test_every_refusal_of_ours_is_documented() -> None:
    assert refusals() - documented_codes() - NEVER_ANSWERED == set()


def test_every_documented_refusal_exists() -> None:
    refusals()
    known = {kind.code for kind in _subclasses(Refusal)}
    assert {code for code in documented_codes() - known if not code.startswith(ELSEWHERE)} == set()
