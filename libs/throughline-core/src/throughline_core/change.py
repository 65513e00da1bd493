"""What a decision produces: the next state and the events that tell of it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", covariant=True)
Event = TypeVar("Event", covariant=True)


@dataclass(frozen=True, slots=True)
class Change(Generic[State, Event]):
    """The outcome of one decision; a repository saves both halves or neither."""

    state: State
    events: tuple[Event, ...]
