"""How the org describes its objects and fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    ID = "id"
    REFERENCE = "reference"
    STRING = "string"
    TEXTAREA = "textarea"
    PICKLIST = "picklist"
    BOOLEAN = "boolean"
    DOUBLE = "double"
    CURRENCY = "currency"
    PERCENT = "percent"
    INT = "int"
    DATE = "date"
    DATETIME = "datetime"


NUMERIC = frozenset({FieldType.DOUBLE, FieldType.CURRENCY, FieldType.PERCENT, FieldType.INT})


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `relation` is its name in a field path, `children` the way back to its owner."""

    name: str
    type: FieldType
    label: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    calculated: bool = False
    external_id: bool = False
    unique: bool = False
    options: tuple[str, ...] = ()
    restricted: bool = False
    reference_to: str | None = None
    relation: str | None = None
    children: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class SObject:
    """One object with its fields by lower-cased name, in the order of its description."""

    name: str
    label: str
    key_prefix: str
    fields: Mapping[str, Field]

    def field(self, name: str) -> Field | None:
        return self.fields.get(name.lower())

    def relation(self, name: str) -> Field | None:
        """Return the reference field that a path like `SBQQ__Product__r` goes through."""
        wanted = name.lower()
        return next(
            (f for f in self.fields.values() if f.relation and f.relation.lower() == wanted), None
        )


def sobject(name: str, label: str, key_prefix: str, fields: Iterable[Field]) -> SObject:
    return SObject(name, label, key_prefix, {field.name.lower(): field for field in fields})


def describe(entity: SObject, child_relations: Iterable[tuple[str, Field]]) -> dict[str, object]:
    """Return the description of an object; `child_relations` pair a child object with its field."""
    return {
        "name": entity.name,
        "label": entity.label,
        "labelPlural": f"{entity.label}s",
        "keyPrefix": entity.key_prefix,
        "custom": entity.name.endswith("__c"),
        "createable": True,
        "updateable": True,
        "deletable": True,
        "queryable": True,
        "retrieveable": True,
        "fields": [_describe_field(field) for field in entity.fields.values()],
        "childRelationships": [
            {
                "childSObject": child,
                "field": field.name,
                "relationshipName": field.children,
                "cascadeDelete": field.required,
            }
            for child, field in child_relations
        ],
    }


def _describe_field(field: Field) -> dict[str, object]:
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type.value,
        "length": field.length,
        "precision": field.precision,
        "scale": field.scale,
        "nillable": not field.required,
        "createable": field.createable,
        "updateable": field.updateable,
        "calculated": field.calculated,
        "custom": field.custom or field.name.endswith("__c"),
        "externalId": field.external_id,
        "idLookup": field.external_id or field.type is FieldType.ID,
        "unique": field.unique,
        "filterable": field.type is not FieldType.TEXTAREA,
        "sortable": field.type is not FieldType.TEXTAREA,
        "restrictedPicklist": field.restricted,
        "picklistValues": [
            {"value": option, "label": option, "active": True, "defaultValue": False}
            for option in field.options
        ],
        "referenceTo": [] if field.reference_to is None else [field.reference_to],
        "relationshipName": field.relation,
    }
