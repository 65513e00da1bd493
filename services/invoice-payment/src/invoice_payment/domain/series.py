"""Number series, and the chain of hashes over what was issued in one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

_DIGITS: Final = 6


class Series(StrEnum):
    """What is numbered; each kind of document and the journal count by themselves."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    JOURNAL_ENTRY = "journal_entry"


_LETTERS: Final = {Series.INVOICE: "INV", Series.CREDIT_NOTE: "CN", Series.JOURNAL_ENTRY: "JE"}


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """A series counts from 1 for each legal entity and year."""

    legal_entity_id: UUID
    series: Series
    year: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number taken from a series: `INV-DE01-2026-000042` is the 42nd."""

    key: SeriesKey
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Consecutive numbers taken at once, and the hash of the last document before them."""

    key: SeriesKey
    prefix: str
    first: int
    count: int
    last_hash: str

    def number(self, index: int) -> Number:
        """Return the number at `index` of those taken, from 0."""
        assert 0 <= index < self.count, "only numbers that were taken can be given out"
        sequence = self.first + index
        return Number(self.key, sequence, f"{self.prefix}{sequence:0{_DIGITS}d}")


def prefix_of(key: SeriesKey, entity_code: str) -> str:
    """Return what the numbers of a new series begin with; the series keeps it."""
    return f"{_LETTERS[key.series]}-{entity_code}-{key.year}-"


def chained_hash(previous_hash: str, content: str) -> str:
    """Return the hexadecimal SHA-256 of a document's content after the one before it.

    The previous hash is empty for the first document of a series.
    """
    return sha256(f"{previous_hash}\n{content}".encode()).hexdigest()


def canonical(content: Mapping[str, object]) -> str:
    """Return content as the one JSON text it is hashed as: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
