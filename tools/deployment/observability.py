"""Whether alerts and dashboards speak of metrics that exist, and of pages that help."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tools.deployment import declared

_METRIC: Final = re.compile(r"\bthroughline_[a-z0-9_]+")
_RANGE: Final = re.compile(r"^[1-9][0-9]*[smhd]$")
_SEVERITIES: Final = {"page", "ticket"}
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}


def rule_problems(rules: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Find alerts that cannot fire, or that leave whoever is woken alone."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    names = [alert.get("alert", "?") for alert in alerts]
    for twice in {name for name in names if names.count(name) > 1}:
        yield f"there are two alerts {twice}"
    for alert in alerts:
        yield from (f"alert {alert.get('alert')}: {problem}" for problem in _alert(alert, root))


def _alert(alert: Mapping[str, Any], root: Path) -> Iterator[str]:
    yield from expression_problems(str(alert.get("expr", "")))
    if not _RANGE.match(str(alert.get("for", ""))):
        yield "fires at once: `for` is missing"
    if alert.get("labels", {}).get("severity") not in _SEVERITIES:
        yield f"its severity is none of {sorted(_SEVERITIES)}"
    annotations = alert.get("annotations", {})
    if not annotations.get("summary"):
        yield "does not say what is wrong"
    if not (root / annotations.get("runbook", "?")).is_file():
        yield f"there is no runbook {annotations.get('runbook')}"


def dashboard_problems(dashboard: Mapping[str, Any]) -> Iterator[str]:
    """Find panels that show nothing, or lie on one another."""
    places: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        if not panel["targets"]:
            yield f"panel {panel['title']}: shows nothing"
        for target in panel["targets"]:
            for problem in expression_problems(target["expr"]):
                yield f"panel {panel['title']}: {problem}"
        covered = set(_cells(panel["gridPos"]))
        if covered & places:
            yield f"panel {panel['title']}: lies on another"
        places |= covered


def expression_problems(expression: str) -> Iterator[str]:
    """Find metrics that nobody exports, and brackets that do not close."""
    if not expression.strip():
        yield "it has no expression"
    for name in sorted(set(_METRIC.findall(expression)) - declared.metrics()):
        yield f"no process exports {name}"
    if not _is_balanced(re.sub(r'"[^"]*"', "", expression)):
        yield f"its brackets do not close: {expression}"


def promtool_problems(rules: Path) -> Sequence[str] | None:
    """Return what promtool finds in the rules, None where it is not installed."""
    program = shutil.which("promtool")
    if program is None:
        return None
    done = subprocess.run(
        [program, "check", "rules", str(rules)], capture_output=True, text=True, check=False
    )
    return () if done.returncode == 0 else (done.stdout + done.stderr,)


def _is_balanced(text: Iterable[str]) -> bool:
    open_: list[str] = []
    for character in text:
        if character in _BRACKETS.values():
            open_.append(character)
        elif character in _BRACKETS and (not open_ or open_.pop() != _BRACKETS[character]):
            return False
    return not open_


def _cells(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
