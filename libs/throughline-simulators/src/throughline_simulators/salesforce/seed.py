"""Loading records as an export of the vendor gives them, so that real data can be replayed.

A record names its object by `attributes.type` and may carry an `attributes.referenceId`; another
value `@thatReference` then points to it, as in the vendor's own tree files. Child records may be
nested under their relation name. What the org calculates is left out and calculated anew.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from throughline_simulators.salesforce import ids
from throughline_simulators.salesforce.errors import ApiError
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.pricing import Pricing
from throughline_simulators.salesforce.records import Records
from throughline_simulators.salesforce.schema import Field, SObject
from throughline_simulators.salesforce.values import Value, read_value

Body = Mapping[str, object]


class Seed:
    """One load; loading the same references or ids again replaces the records."""

    def __init__(self, org: Org, records: Records, pricing: Pricing) -> None:
        self._org = org
        self._records = records
        self._pricing = pricing
        self._references: dict[str, str] = {}

    def load(self, bodies: Iterable[Body]) -> Mapping[str, str]:
        """Add the records in the order given, parents first; return the id of each reference.

        Raises:
            ApiError: a record does not say what it is, or does not fit its object.
        """
        with self._pricing.loading():
            for body in bodies:
                self._load_one(self._entity(body), body)
        return self._references

    def _load_one(self, entity: SObject, body: Body, *, place: str | None = None) -> None:
        children = {
            name: (child, via)
            for child, via in self._org.children_of(entity)
            if (name := str(via.children)) in body
        }
        given = {
            name: raw
            for name, raw in body.items()
            if name not in children and name != "attributes" and not isinstance(raw, Mapping)
        }
        record_id = self._identify(entity, body, place)
        values = self._read(entity, given)
        existing = self._org.records(entity).get(record_id)
        if existing is None:
            self._records.insert(entity, record_id, values)
        else:
            self._records.amend(entity, existing, values)
        for name, (child, via) in children.items():
            self._load_children(child, via, record_id, body[name])

    def _load_children(self, child: SObject, via: Field, parent_id: str, nested: object) -> None:
        if not isinstance(nested, Mapping):
            return
        for position, body in enumerate(cast("list[Body]", nested.get("records", []))):
            # A child without a name of its own is known by its parent and place.
            place = f"{parent_id}/{via.children}/{position}"
            self._load_one(child, {**body, via.name: parent_id}, place=place)

    def _entity(self, body: Body) -> SObject:
        described = body.get("attributes")
        name = described.get("type") if isinstance(described, Mapping) else None
        entity = self._org.entity(str(name))
        if entity is None:
            raise ApiError("INVALID_TYPE", f"attributes.type names no object of this org: {name}")
        return entity

    def _identify(self, entity: SObject, body: Body, place: str | None) -> str:
        described = cast("Body", body.get("attributes", {}))
        reference = described.get("referenceId")
        given = body.get("Id")
        if given is not None:
            record_id = ids.normalised(str(given))
            if record_id is None:
                raise ApiError("MALFORMED_ID", f"malformed id {given}", fields=["Id"])
        elif reference is not None or place is not None:
            record_id = ids.referenced_id(entity.key_prefix, str(reference or place))
        else:
            number = self._org.store.next_number(f"salesforce.counter.{entity.name}")
            record_id = ids.numbered_id(entity.key_prefix, number)
        if reference is not None:
            self._references[str(reference)] = record_id
        return record_id

    def _read(self, entity: SObject, given: Body) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, raw in given.items():
            field = entity.field(name)
            if field is None:
                raise ApiError("INVALID_FIELD", f"no column '{name}' on {entity.name}")
            if field.calculated or field.name == "Id":
                continue
            refers = isinstance(raw, str) and raw.startswith("@")
            value = self._references.get(str(raw)[1:], raw) if refers else raw
            values[field.name] = read_value(field, value)
        return values
