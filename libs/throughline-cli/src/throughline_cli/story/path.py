"""One path through a chain of lineage, of the many that lead to one amount."""

from collections.abc import Iterable, Sequence
from typing import Final

from throughline_cli.api import Document

# Where several things lead on, time is followed: it has the longest way.
_PREFERRED: Final = ("task", "time_entry", "contract_line", "payment_allocation", "payment")


def one_path(chain: Document) -> list[Document]:
    """Return one path through a chain, from the system a deal came from to cash and ledger.

    Where several lead on, the path takes the first, preferring time: it has the longest way.
    """
    nodes, links = chain["nodes"], chain["links"]
    before = _walk(nodes, links, 0, "to", "from")
    after = _walk(nodes, links, 0, "from", "to")
    return [*reversed(before), nodes[0], *after]


def _walk(
    nodes: Sequence[Document], links: Iterable[Document], start: int, near: str, far: str
) -> list[Document]:
    path: list[Document] = []
    here = start
    known = list(links)
    while True:
        ahead = [int(link[far]) for link in known if link[near] == here]
        if not ahead:
            return path
        here = min(ahead, key=lambda place: (nodes[place]["kind"] not in _PREFERRED, place))
        path.append(nodes[here])
