"""What the story has come to, and the sentences it is told in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from throughline_cli.api import Document


@dataclass
class Told:
    """What the story has come to: the ids and figures that later steps and the end speak of."""

    # On the monotonic clock; the first document is timed from here.
    started_at: float = 0.0
    entities: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    contracts: dict[str, Document] = field(default_factory=dict)
    projects: dict[str, Document] = field(default_factory=dict)
    pause: Document = field(default_factory=dict)
    invoices: dict[str, Document] = field(default_factory=dict)
    previews: dict[str, Document] = field(default_factory=dict)
    documents: list[Path] = field(default_factory=list)
    first_document_seconds: float | None = None
    callbacks: int = 0
    reconciliation: Document = field(default_factory=dict)
    cent: list[Document] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence of the story and what makes it true."""

    text: str
    tell: Callable[[], None]
