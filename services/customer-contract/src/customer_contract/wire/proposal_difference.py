"""What a proposal says otherwise than the version in force, field by field of the API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.rate_card import CardDraft
from customer_contract.domain.term_change import TermChange
from customer_contract.wire.catalogue import write_entry
from customer_contract.wire.price_policy import write_policy
from customer_contract.wire.proposal import Content
from customer_contract.wire.rate_card import write_card_terms
from customer_contract.wire.term_change import kind_of, write_changes
from throughline.customer_contract.v1 import contract_pb2 as pb

# They say who and when, not what.
_RECORD: Final = frozenset({"version", "proposed_by", "published_by", "published_at"})


def write_terms(before: Content | None, after: Content) -> list[pb.TermChange]:
    """Return what differs; the rates of a card are compared apart, see `rate_difference`."""
    if isinstance(after, CardDraft):
        old_card = before.content if isinstance(before, CardDraft) else None
        return write_card_terms(old_card, after.content)
    assert not isinstance(before, CardDraft)
    old = {} if before is None else _leaves_of(before)
    new = _leaves_of(after)
    return write_changes(
        TermChange(kind_of(old.get(term, ""), new.get(term, "")), None, term, *values)
        for term in dict.fromkeys((*old, *new))
        if (values := (old.get(term, ""), new.get(term, "")))[0] != values[1]
    )


def _leaves_of(content: CatalogueEntry | PricePolicy) -> dict[str, str]:
    message = write_policy(content) if isinstance(content, PricePolicy) else write_entry(content)
    said: Mapping[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return dict(_leaves({name: value for name, value in said.items() if name not in _RECORD}, ""))


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case {"amount": str(amount), "currency": str(currency)}:
            yield path, f"{amount} {currency}"
        case dict():
            for name, item in value.items():
                yield from _leaves(item, f"{path}.{name}" if path else name)
        case list():
            for index, item in enumerate(value):
                yield from _leaves(item, f"{path}[{index}]")
        case bool():
            yield path, "true" if value else "false"
        case _:
            yield path, str(value)
