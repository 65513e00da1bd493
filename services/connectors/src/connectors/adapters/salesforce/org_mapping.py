"""A connection's mapping: what one Salesforce org calls its products, roles and own fields."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from connectors.domain import MappingInvalid

_AGGREGATIONS: Final = ("sum", "max", "last")


@dataclass(frozen=True, slots=True)
class SalesforceMapping:
    """What one org calls things.

    `products` maps product codes to service codes, `roles` product codes to roles of a bundle's
    hours; a product in neither keeps its own code. The `*_field` names are fields the org added;
    empty where it has none. `legal_entities` maps what the org calls a company of the firm, one
    that sells or one that delivers, to its id. `aggregations` says of a meter how the readings of
    a period become one quantity: their sum unless told.
    """

    products: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    statuses: Sequence[str] = ("Approved", "Accepted")
    not_to_exceed_field: str = ""
    purchase_order_field: str = ""
    tax_id_field: str = ""
    billing_email_field: str = ""
    legal_entity_field: str = ""
    legal_entities: Mapping[str, str] = field(default_factory=dict)
    payment_terms_days: int = 30
    delivering_entity_field: str = ""
    region_field: str = ""
    milestones_field: str = ""
    period_months_field: str = ""
    retainer_hours_field: str = ""
    roll_over_percent_field: str = ""
    overage_rate_field: str = ""
    meter_field: str = ""
    included_quantity_field: str = ""
    price_tiers_field: str = ""
    aggregations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "SalesforceMapping":
        """Return the mapping of a connection.

        Raises:
            MappingInvalid: it has other keys or values than this.
        """
        try:
            mapping = cls(**raw)
        except TypeError as error:
            raise MappingInvalid(
                f"the mapping does not fit: {error}",
                field="mapping_json",
                advice=f"its keys are {', '.join(cls.__slots__)}",
            ) from error
        mapping._require_shape()
        if any(name and not re.fullmatch(r"[A-Za-z]\w*__c", name) for name in mapping._own_names()):
            raise MappingInvalid(
                "a field an org adds ends in __c",
                field="mapping_json",
                advice="give its API name, for example Not_To_Exceed__c",
            )
        return mapping

    @property
    def quote_fields(self) -> tuple[str, ...]:
        """The fields the org added to its quotes."""
        return _named(self.purchase_order_field, self.legal_entity_field)

    @property
    def account_fields(self) -> tuple[str, ...]:
        """The fields the org added to its accounts."""
        return _named(self.tax_id_field, self.billing_email_field)

    @property
    def line_fields(self) -> tuple[str, ...]:
        """The fields the org added to its quote lines."""
        return _named(
            self.not_to_exceed_field,
            self.delivering_entity_field,
            self.region_field,
            self.milestones_field,
            self.period_months_field,
            self.retainer_hours_field,
            self.roll_over_percent_field,
            self.overage_rate_field,
            self.meter_field,
            self.included_quantity_field,
            self.price_tiers_field,
        )

    def _own_names(self) -> Iterator[str]:
        yield from (getattr(self, name) for name in self.__slots__ if name.endswith("_field"))

    def _require_shape(self) -> None:
        """Refuse values that reading a quote would stumble over, or that would change its query.

        Raises:
            MappingInvalid: one is of another type than the fields say.
        """
        maps = {
            name: getattr(self, name)
            for name in ("products", "roles", "legal_entities", "aggregations")
        }
        for name, value in maps.items():
            if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
                raise _unfit(name, "send an object whose values are texts")
        if not all(_is_uuid(value) for value in self.legal_entities.values()):
            raise _unfit("legal_entities", "its values are UUIDs of legal entities")
        if not set(self.aggregations.values()) <= set(_AGGREGATIONS):
            raise _unfit("aggregations", f"its values are {', '.join(_AGGREGATIONS)}")
        statuses = self.statuses
        if isinstance(statuses, str) or not all(
            isinstance(status, str) and re.fullmatch(r"[\w .-]{1,80}", status)
            for status in statuses
        ):
            raise _unfit("statuses", "send a list of states, of letters, digits and spaces")
        if type(self.payment_terms_days) is not int or not 0 <= self.payment_terms_days <= 365:
            raise _unfit("payment_terms_days", "send 0 to 365 days")
        if not all(isinstance(name, str) for name in self._own_names()):
            raise _unfit("a field", "send the names of fields as texts")


def _named(*names: str) -> tuple[str, ...]:
    """Return the names that are given, each once: two meanings may share a field."""
    return tuple(dict.fromkeys(name for name in names if name))


def _unfit(name: str, advice: str) -> MappingInvalid:
    return MappingInvalid(f"{name} does not fit", field="mapping_json", advice=advice)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
