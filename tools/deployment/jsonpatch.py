"""JSON patches (RFC 6902), as far as manifests use them: add, replace, remove, copy."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any


class PatchError(Exception):
    """A patch does not fit what it is applied to."""


def apply(document: dict[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return `document` after all operations.

    Raises:
        PatchError: one of them names a place that is not there.
    """
    result = copy.deepcopy(document)
    for operation in operations:
        match operation:
            case {"op": "add" | "replace" as name, "path": str(path), "value": value}:
                _put(result, path, copy.deepcopy(value), replace=name == "replace")
            case {"op": "remove", "path": str(path)}:
                _remove(result, path)
            case {"op": "copy", "from": str(source), "path": str(path)}:
                _put(result, path, copy.deepcopy(_get(result, source)), replace=False)
            case _:
                raise PatchError(f"not an operation known here: {operation}")
    return result


def _get(document: Any, path: str) -> Any:
    found = document
    for step in _steps(path):
        found = found[_place(found, step, path)]
    return found


def _put(document: Any, path: str, value: Any, *, replace: bool) -> None:
    *above, last = _steps(path)
    parent = _get(document, "".join(f"/{step}" for step in above))
    if isinstance(parent, list) and not replace:
        parent.insert(len(parent) if last == "-" else int(last), value)
    elif isinstance(parent, dict) and not replace:
        parent[last] = value
    else:
        parent[_place(parent, last, path)] = value


def _remove(document: Any, path: str) -> None:
    *above, last = _steps(path)
    parent = _get(document, "".join(f"/{step}" for step in above))
    del parent[_place(parent, last, path)]


def _place(parent: Any, step: str, path: str) -> Any:
    """Return the key or index of `step` in `parent`, where it has to exist."""
    if isinstance(parent, dict) and step in parent:
        return step
    if isinstance(parent, list) and step.isdigit() and int(step) < len(parent):
        return int(step)
    raise PatchError(f"there is no {path}")


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
