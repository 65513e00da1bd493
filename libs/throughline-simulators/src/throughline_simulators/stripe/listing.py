"""Lists and expansions: newest first, in pages, with ids opened into documents on request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

from throughline_simulators.stripe.errors import InvalidRequest
from throughline_simulators.stripe.params import Params

Document = Mapping[str, object]

_LIMIT_DEFAULT: Final = 10
_LIMIT_MAX: Final = 100
_DEPTH_MAX: Final = 4
_BOUNDS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "gte": lambda created, bound: created >= bound,
    "gt": lambda created, bound: created > bound,
    "lte": lambda created, bound: created <= bound,
    "lt": lambda created, bound: created < bound,
}


def page(
    documents: Iterable[Document], params: Params, url: str, filters: Sequence[str] = ()
) -> dict[str, object]:
    """Return one page of `documents`, which come oldest first.

    Raises:
        InvalidRequest: limit outside 1..100, or a cursor that names nothing here.
    """
    kept = _created_within(list(documents), params)
    for name in filters:
        wanted = params.take(name)
        if wanted is not None:
            kept = [document for document in kept if document.get(name) == wanted]
    limit = params.take_integer("limit")
    limit = _LIMIT_DEFAULT if limit is None else limit
    if not 1 <= limit <= _LIMIT_MAX:
        raise InvalidRequest(f"Limit must be between 1 and {_LIMIT_MAX}.", param="limit")
    starting_after, ending_before = params.take("starting_after"), params.take("ending_before")
    params.finish()
    kept.reverse()
    if starting_after is not None:
        rest = kept[_place(kept, starting_after, "starting_after") + 1 :]
        shown, has_more = rest[:limit], len(rest) > limit
    elif ending_before is not None:
        rest = kept[: _place(kept, ending_before, "ending_before")]
        shown, has_more = rest[-limit:], len(rest) > limit
    else:
        shown, has_more = kept[:limit], len(kept) > limit
    return {"object": "list", "data": shown, "has_more": has_more, "url": url}


def expanded(
    document: Document, paths: Iterable[str], find: Callable[[str, str], Document | None]
) -> Document:
    """Return `document` with the ids at `paths` replaced by what `find(attribute, id)` gives.

    Raises:
        InvalidRequest: a path leads to something that is no id of a document.
    """
    for path in paths:
        keys = path.split(".")
        if len(keys) > _DEPTH_MAX:
            raise InvalidRequest(f"You cannot expand more than {_DEPTH_MAX} levels", param="expand")
        document = cast("Document", _expand(document, keys, find, path))
    return document


def _expand(
    value: object, keys: list[str], find: Callable[[str, str], Document | None], path: str
) -> object:
    if not keys or value is None:
        return value
    if isinstance(value, list):
        return [_expand(item, keys, find, path) for item in value]
    if not isinstance(value, Mapping) or keys[0] not in value:
        raise InvalidRequest(f"This property cannot be expanded ({path}).", param="expand")
    inner = value[keys[0]]
    if isinstance(inner, str):
        inner = find(keys[0], inner)
        if inner is None:
            raise InvalidRequest(f"This property cannot be expanded ({path}).", param="expand")
    return {**value, keys[0]: _expand(inner, keys[1:], find, path)}


def _created_within(documents: list[Document], params: Params) -> list[Document]:
    bounds = params.take_bounds("created")
    for name, written in bounds.items():
        compare = _BOUNDS.get(name)
        if compare is None or not written.isdigit():
            raise InvalidRequest(f"Invalid timestamp bound: {name}", param=f"created[{name}]")
        bound = int(written)
        documents = [
            document for document in documents if compare(cast("int", document["created"]), bound)
        ]
    return documents


def _place(documents: Sequence[Document], key: str, param: str) -> int:
    for place, document in enumerate(documents):
        if document["id"] == key:
            return place
    raise InvalidRequest(f"No such object: '{key}'", code="resource_missing", param=param)
