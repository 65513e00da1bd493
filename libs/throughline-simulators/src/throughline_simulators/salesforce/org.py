"""One simulated org: its objects as an administrator has shaped them, and its records."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import cast

from throughline_simulators.clock import Clock
from throughline_simulators.salesforce import ids, objects
from throughline_simulators.salesforce.errors import not_found
from throughline_simulators.salesforce.schema import Field, FieldType, SObject
from throughline_simulators.salesforce.switches import SalesforceSwitches
from throughline_simulators.salesforce.values import Record, write_instant
from throughline_simulators.store import Collection, Store
from throughline_simulators.switchboard import SwitchBoard


class Org:
    """Objects, records and the switches of the org."""

    def __init__(self, store: Store, board: SwitchBoard[SalesforceSwitches], clock: Clock) -> None:
        self.store = store
        self.board = board
        self.clock = clock
        self._added: Collection[Mapping[str, object]] = Collection(store, "salesforce.added_field")
        self._hidden: Collection[Mapping[str, object]] = Collection(
            store, "salesforce.hidden_field"
        )
        self._entities = self._shape()

    @property
    def switches(self) -> SalesforceSwitches:
        return self.board.now

    def stamp(self) -> str:
        """Return now as a stored datetime; stamps of one second are equal, as at the vendor."""
        return write_instant(self.clock.now())

    # Objects

    def entity(self, name: str) -> SObject | None:
        return self._entities.get(name.lower())

    def require(self, name: str) -> SObject:
        """Return the object of that API name.

        Raises:
            ApiError: no such object in this org.
        """
        entity = self.entity(name)
        if entity is None:
            raise not_found()
        return entity

    def entities(self) -> list[SObject]:
        return list(self._entities.values())

    def children_of(self, entity: SObject) -> list[tuple[SObject, Field]]:
        """Return each object that points to `entity` under a child name, with the field it uses."""
        return [
            (child, field)
            for child in self._entities.values()
            for field in child.fields.values()
            if field.children and field.reference_to == entity.name
        ]

    def add_field(self, object_name: str, field: Field) -> None:
        """Give an object a field of the org's own, or replace that field."""
        entity = self.require(object_name)
        self._added.put(f"{entity.name}.{field.name}".lower(), asdict(field))
        self._entities = self._shape()

    def hide_field(self, object_name: str, name: str, *, hidden: bool) -> None:
        """Take a field out of the caller's sight, as field-level security does."""
        entity = objects.STANDARD.get(object_name.lower()) or self.require(object_name)
        key = f"{entity.name}.{name}".lower()
        if hidden:
            self._hidden.put(key, {})
        else:
            self._hidden.remove(key)
        self._entities = self._shape()

    # Records

    def records(self, entity: SObject) -> Collection[Record]:
        return Collection(self.store, f"salesforce.record.{entity.name}")

    def live(self, entity: SObject) -> list[Record]:
        """Return the records that are not deleted, oldest first."""
        return [record for record in self.records(entity).values() if not record["IsDeleted"]]

    def find(self, entity: SObject, record_id: str) -> Record | None:
        """Return a live record by its id of 15 or 18 characters."""
        wide = ids.normalised(record_id)
        record = None if wide is None else self.records(entity).get(wide)
        return None if record is None or record["IsDeleted"] else record

    def write(
        self,
        entity: SObject,
        record: Record,
        changes: Record,
        *,
        by_user: bool = True,
        restamp: bool = True,
    ) -> Record:
        """Store a record with its changes and return it; SystemModstamp moves to now.

        Stamps among the changes, which only a seed may give, are kept.
        """
        stamps = {}
        if restamp:
            stamps["SystemModstamp"] = self.stamp()
        if by_user:
            stamps["LastModifiedDate"] = self.stamp()
        written = {**record, **stamps, **changes}
        self.records(entity).put(str(written["Id"]), written)
        return written

    def reset(self) -> None:
        """Forget all records, sessions and changes to objects."""
        self.store.clear("salesforce.")
        self._entities = self._shape()

    def _shape(self) -> dict[str, SObject]:
        shaped = {}
        for key, entity in objects.STANDARD.items():
            added = [
                _read_field(body)
                for name, body in self._added.items()
                if name.startswith(f"{key}.")
            ]
            fields = {**entity.fields, **{field.name.lower(): field for field in added}}
            visible = {
                name: field
                for name, field in fields.items()
                if self._hidden.get(f"{key}.{name}") is None
            }
            shaped[key] = replace(entity, fields=visible)
        return shaped


def _read_field(body: Mapping[str, object]) -> Field:
    attributes = {**body, "type": FieldType(str(body["type"]))}
    attributes["options"] = tuple(cast("list[str]", body["options"]))
    return Field(**attributes)  # type: ignore[arg-type]  # the body is a Field's own asdict
