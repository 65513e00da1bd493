"""Fault switches every vendor has, and the board that turns them."""

import random
from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from throughline_simulators.store import Collection, Store


class Switches(BaseModel):
    """Faults any vendor may show. A `*_next` switch counts down to zero as it strikes."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    only_on: str = Field(
        default="",
        description="Faults strike only calls whose 'METHOD /path' contains this text; empty: all.",
    )
    latency_milliseconds: int = Field(default=0, ge=0, description="Wait before each call.")
    unavailable_next: int = Field(default=0, ge=0, description="Answer the next n calls with 503.")
    unavailable_probability: float = Field(
        default=0.0, ge=0, le=1, description="Answer each call with 503 at this probability."
    )
    throttled_next: int = Field(default=0, ge=0, description="Refuse the next n calls as too many.")
    retry_after_seconds: int | None = Field(
        default=None, ge=0, description="Send Retry-After with 503 and throttling; null: no header."
    )
    hang_next: int = Field(
        default=0, ge=0, description="Do the work of the next n calls, commit it, and fall silent."
    )
    hang_seconds: float = Field(default=30.0, ge=0, description="How long the silence lasts.")
    random_seed: int = Field(default=1, description="Makes probabilities and shuffles repeatable.")


AnySwitches = TypeVar("AnySwitches", bound=Switches)


class SwitchBoard(Generic[AnySwitches]):
    """The switches of one vendor as they stand now; they survive a restart with the data."""

    def __init__(self, store: Store, vendor: str, model: type[AnySwitches]) -> None:
        self._saved: Collection[Mapping[str, object]] = Collection(store, "switches")
        self._vendor = vendor
        self._model = model
        saved = self._saved.get(vendor)
        self.now: AnySwitches = model() if saved is None else model.model_validate_json(
            str(saved["json"])
        )  # fmt: skip
        self.random = random.Random(self.now.random_seed)

    def turn(self, changes: Mapping[str, object]) -> AnySwitches:
        """Set the named switches and leave the others.

        Raises:
            pydantic.ValidationError: unknown switch, or a value out of its range.
        """
        self.now = self._model.model_validate({**self.now.model_dump(), **changes})
        if "random_seed" in changes:
            self.random = random.Random(self.now.random_seed)
        self._save()
        return self.now

    def reset(self) -> None:
        self.now = self._model()
        self.random = random.Random(self.now.random_seed)
        self._save()

    def take(self, name: str) -> bool:
        """Use up one strike of a `*_next` switch; false when none is left."""
        left = int(getattr(self.now, name))
        if left == 0:
            return False
        setattr(self.now, name, left - 1)
        self._save()
        return True

    def _save(self) -> None:
        self._saved.put(self._vendor, {"json": self.now.model_dump_json()})
