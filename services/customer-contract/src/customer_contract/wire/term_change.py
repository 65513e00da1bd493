"""Messages of differences between two versions of the terms."""

from collections.abc import Iterable
from typing import Final

from customer_contract.domain.term_change import TermChange, TermChangeKind
from throughline.customer_contract.v1 import contract_pb2 as pb
from throughline_runtime.fields import EnumMap, write_id

TERM_CHANGE_KIND: Final = EnumMap(pb.TermChangeKind, TermChangeKind)


def write_changes(changes: Iterable[TermChange]) -> list[pb.TermChange]:
    return [
        pb.TermChange(
            kind=TERM_CHANGE_KIND.write(change.kind),
            contract_line_id=write_id(change.contract_line_id) or None,
            term=change.term,
            old_value=change.old_value,
            new_value=change.new_value,
        )
        for change in changes
    ]


def kind_of(old: str, new: str) -> TermChangeKind:
    """Return how a term differs, given its value before and after, empty where there is none."""
    if old and new:
        return TermChangeKind.ALTERED
    return TermChangeKind.ENDED if old else TermChangeKind.ADDED
