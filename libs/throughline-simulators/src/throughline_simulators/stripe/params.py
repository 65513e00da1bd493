"""Form-encoded parameters: nested names, typed reading, and the refusal of what is left over."""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qsl

from throughline_simulators.stripe.errors import InvalidRequest

Tree: TypeAlias = dict[str, "str | Tree"]

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def parse(text: str) -> Tree:
    """Return `a[b]=1&c[]=2` as a tree; places of a list become the keys "0", "1" ….

    Raises:
        InvalidRequest: a name with unbalanced brackets, or one name both value and tree.
    """
    tree: Tree = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidRequest(f"Invalid request: malformed parameter name {name}", param=name)
        keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        branch = tree
        for key in keys[:-1]:
            twig = branch.setdefault(key, {})
            if not isinstance(twig, dict):
                raise _not_a(name, "hash")
            branch = twig
        last = keys[-1] or str(len(branch))
        branch[last] = value
    return tree


class Params:
    """The parameters of one call; each `take` removes what it reads."""

    def __init__(self, tree: Tree) -> None:
        self._left = dict(tree)

    def take(self, name: str) -> str | None:
        """Return a plain value, None if it is absent or empty."""
        value = self._left.pop(name, None)
        if isinstance(value, dict):
            raise _not_a(name, "string")
        return value or None

    def require(self, name: str) -> str:
        value = self.take(name)
        if value is None:
            raise InvalidRequest(
                f"Missing required param: {name}.", code="parameter_missing", param=name
            )
        return value

    def take_choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.take(name)
        if value is not None and value not in choices:
            raise InvalidRequest(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
        return value

    def take_flag(self, name: str) -> bool:
        return self.take_choice(name, ("true", "false")) == "true"

    def take_integer(self, name: str) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d+", value):
            raise InvalidRequest(
                f"Invalid integer: {value}", code="parameter_invalid_integer", param=name
            )
        return int(value)

    def take_amount(self, name: str, *, most: int) -> int | None:
        """Return a positive amount in minor units, at most `most`."""
        amount = self.take_integer(name)
        if amount is None:
            return None
        if amount < 1:
            raise InvalidRequest(
                "This value must be greater than or equal to 1.",
                code="parameter_invalid_integer",
                param=name,
            )
        if amount > most:
            raise InvalidRequest(
                f"Amount must be no more than {most}", code="amount_too_large", param=name
            )
        return amount

    def take_list(self, name: str) -> list[str]:
        value = self._left.pop(name, {})
        items = list(value.values()) if isinstance(value, dict) else [value]
        if any(isinstance(item, dict) for item in items):
            raise _not_a(name, "array")
        return cast("list[str]", items)

    def take_tree(self, name: str) -> Tree | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise _not_a(name, "hash")
        return value

    def take_bounds(self, name: str) -> dict[str, str]:
        """Return `name[gte]=1` as {"gte": "1"}, and a plain `name=1` as its two bounds."""
        value = self._left.pop(name, {})
        if isinstance(value, str):
            return {"gte": value, "lte": value}
        if any(isinstance(bound, dict) for bound in value.values()):
            raise _not_a(name, "timestamp")
        return cast("dict[str, str]", value)

    def take_metadata(self, *, keys_max: int, value_max: int) -> dict[str, str] | None:
        """Return the metadata given; an empty value asks to remove its key."""
        tree = self.take_tree("metadata")
        if tree is None:
            return None
        for key, value in tree.items():
            if isinstance(value, dict):
                raise _not_a(f"metadata[{key}]", "string")
            if len(value) > value_max:
                raise InvalidRequest(
                    f"Metadata values can have up to {value_max} characters, but you passed in a "
                    f"value that is {len(value)} characters.",
                    param=f"metadata[{key}]",
                )
        if len(tree) > keys_max:
            raise InvalidRequest(f"Metadata can have at most {keys_max} keys.", param="metadata")
        return cast("dict[str, str]", tree)

    def finish(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            InvalidRequest: a parameter is left over.
        """
        for name in self._left:
            raise InvalidRequest(
                f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )


def merged(metadata: Mapping[str, str], changes: Mapping[str, str] | None) -> dict[str, str]:
    """Return metadata with its changes; an empty value removes its key."""
    return {key: value for key, value in {**metadata, **(changes or {})}.items() if value}


def _not_a(name: str, kind: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid {kind}", param=name)
