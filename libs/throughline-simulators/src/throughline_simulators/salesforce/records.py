"""Writing records: what the API accepts, and what the org itself fills in."""

from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus

from throughline_simulators.salesforce import ids
from throughline_simulators.salesforce.errors import ApiError, no_such_column, not_found
from throughline_simulators.salesforce.objects import (
    NUMBERED_NAMES,
    OPPORTUNITY,
    QUOTE,
    QUOTE_LINE,
    QUOTE_LINE_GROUP,
    STAGES,
)
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.pricing import Pricing, price_line
from throughline_simulators.salesforce.schema import FieldType, SObject
from throughline_simulators.salesforce.values import Record, Value, read_value, write_value

Body = Mapping[str, object]


class MultipleChoices(Exception):
    """An upsert met several records with that external id; `records` are all of them."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(f"{len(records)} records match")
        self.records = records


class Records:
    """Creates, changes and deletes records; each write moves SystemModstamp."""

    def __init__(self, org: Org, pricing: Pricing) -> None:
        self._org = org
        self._pricing = pricing

    def create(self, entity: SObject, body: Body) -> str:
        """Add a record and return its id.

        Raises:
            ApiError: unknown or read-only field, bad value, missing or dangling reference.
        """
        values = self.read_body(entity, body, creating=True)
        number = self._org.store.next_number(f"salesforce.counter.{entity.name}")
        return self.insert(entity, ids.numbered_id(entity.key_prefix, number), values)

    def insert(self, entity: SObject, record_id: str, values: Mapping[str, Value]) -> str:
        """Add a record whose values have been read, under a given id."""
        self._check_required(entity, values)
        self._check_references(entity, values)
        self._check_unique(entity, record_id, values)
        record = {**self._defaults(entity, values), **values, "Id": record_id}
        self._save(entity, record, values, is_new=True)
        return record_id

    def update(self, entity: SObject, record: Record, body: Body) -> None:
        """Change a record.

        Raises:
            ApiError: as for `create`.
        """
        self.amend(entity, record, self.read_body(entity, body, creating=False))

    def amend(self, entity: SObject, record: Record, values: Mapping[str, Value]) -> None:
        """Change a record by values that have been read."""
        self._check_required(entity, {**record, **values})
        self._check_references(entity, values)
        self._check_unique(entity, str(record["Id"]), values)
        self._save(entity, record, values, is_new=False)

    def upsert(
        self, entity: SObject, field_name: str, written: str, body: Body, *, update_only: bool
    ) -> tuple[str, bool]:
        """Change the record with that external id, or add it; return its id and whether it is new.

        Raises:
            ApiError: no such external id field, or nothing to update and `update_only`.
            MultipleChoices: the external id is not unique.
        """
        field = entity.field(field_name)
        if field is None or not (field.external_id or field.type is FieldType.ID):
            raise not_found(
                f"Provided external ID field does not exist or is not accessible: {field_name}"
            )
        value = read_value(field, written)
        matches = [record for record in self._org.live(entity) if record.get(field.name) == value]
        if len(matches) > 1:
            raise MultipleChoices(matches)
        if matches:
            self.update(entity, matches[0], body)
            return str(matches[0]["Id"]), False
        if update_only or field.type is FieldType.ID:
            raise not_found()
        identified = {**body, field.name: write_value(field, value, self._org.switches)}
        return self.create(entity, identified), True

    def delete(self, entity: SObject, record: Record) -> None:
        """Put a record and what it owns into the recycle bin; the totals of its quote follow."""
        self._org.write(entity, record, {"IsDeleted": True})
        for child, via in self._org.children_of(entity):
            for owned in self._org.live(child) if via.required else ():
                if owned.get(via.name) == record["Id"]:
                    self._org.write(child, owned, {"IsDeleted": True})
        quote_id = record.get("SBQQ__Quote__c")
        if entity.name in (QUOTE_LINE, QUOTE_LINE_GROUP) and quote_id:
            self._pricing.recalculate(str(quote_id))

    def read_body(self, entity: SObject, body: Body, *, creating: bool) -> dict[str, Value]:
        """Return the values a caller may write.

        Raises:
            ApiError: a field is unknown, read-only or given a value that does not fit.
        """
        values: dict[str, Value] = {}
        for name, raw in body.items():
            if name == "attributes":
                continue
            field = entity.field(name)
            if field is None:
                raise no_such_column(name, entity.name)
            if not (field.createable if creating else field.updateable):
                raise ApiError(
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    f"Unable to create/update fields: {field.name}. Please check the security "
                    "settings of this field and verify that it is read/write for your profile or "
                    "permission set.",
                    fields=[field.name],
                )
            values[field.name] = read_value(field, raw)
        return values

    # What the org adds

    def _save(
        self, entity: SObject, record: Record, values: Mapping[str, Value], *, is_new: bool
    ) -> None:
        changes = {**values, **self._derived(entity, {**record, **values}, values)}
        written = self._org.write(entity, record, changes)
        if entity.name == QUOTE:
            self._keep_one_primary(written, values)
        if entity.name in (QUOTE_LINE, QUOTE_LINE_GROUP):
            self._pricing.recalculate(str(written["SBQQ__Quote__c"]))
        elif entity.name == QUOTE and is_new:
            self._pricing.recalculate(str(written["Id"]))

    def _derived(
        self, entity: SObject, record: Record, values: Mapping[str, Value]
    ) -> dict[str, Value]:
        if entity.name == QUOTE_LINE:
            return price_line(record, frozenset(values))
        stage = values.get("StageName")
        if entity.name != OPPORTUNITY or not isinstance(stage, str):
            return {}
        probability, category = STAGES[stage]
        derived: dict[str, Value] = {
            "Probability": Decimal(probability),
            "ForecastCategoryName": category,
        }
        return {
            **{name: value for name, value in derived.items() if name not in values},
            "IsClosed": stage.startswith("Closed"),
            "IsWon": stage == "Closed Won",
        }

    def _defaults(self, entity: SObject, values: Mapping[str, Value]) -> dict[str, Value]:
        stamp = self._org.stamp()
        defaults: dict[str, Value] = {
            field.name: False for field in entity.fields.values() if field.type is FieldType.BOOLEAN
        }
        defaults |= {
            "CreatedDate": stamp,
            "CurrencyIsoCode": self._inherited_currency(entity, values),
        }
        if entity.name in NUMBERED_NAMES:
            prefix, digits = NUMBERED_NAMES[entity.name]
            number = self._org.store.next_number(f"salesforce.counter.{entity.name}.name")
            defaults["Name"] = f"{prefix}{number:0{digits}d}"
        if entity.name == QUOTE:
            defaults["SBQQ__Status__c"] = "Draft"
        product = self._parent(entity, values, "SBQQ__Product__c")
        if product is not None:
            defaults["SBQQ__ProductName__c"] = product.get("Name")
            defaults["SBQQ__ProductCode__c"] = product.get("ProductCode")
        return defaults

    def _inherited_currency(self, entity: SObject, values: Mapping[str, Value]) -> Value:
        """Detail records take their quote's currency, quotes their opportunity's."""
        for name in ("SBQQ__Quote__c", "SBQQ__Opportunity2__c", "AccountId"):
            parent = self._parent(entity, values, name)
            if parent is not None and parent.get("CurrencyIsoCode"):
                return parent["CurrencyIsoCode"]
        return self._org.switches.default_currency

    def _keep_one_primary(self, quote: Record, values: Mapping[str, Value]) -> None:
        opportunity_id = quote.get("SBQQ__Opportunity2__c")
        if values.get("SBQQ__Primary__c") is not True or opportunity_id is None:
            return
        quotes = self._org.require(QUOTE)
        for other in self._org.live(quotes):
            rival = other.get("SBQQ__Opportunity2__c") == opportunity_id
            if rival and other["Id"] != quote["Id"] and other.get("SBQQ__Primary__c") is True:
                self._org.write(quotes, other, {"SBQQ__Primary__c": False}, by_user=False)
        opportunities = self._org.require(OPPORTUNITY)
        opportunity = self._org.find(opportunities, str(opportunity_id))
        if opportunity is not None:
            self._org.write(
                opportunities, opportunity, {"SBQQ__PrimaryQuote__c": quote["Id"]}, by_user=False
            )

    # What the org refuses

    def _check_required(self, entity: SObject, values: Mapping[str, Value]) -> None:
        missing = [
            field.name
            for field in entity.fields.values()
            if field.required and values.get(field.name) is None
        ]
        if missing:
            raise ApiError(
                "REQUIRED_FIELD_MISSING",
                f"Required fields are missing: [{', '.join(missing)}]",
                fields=missing,
            )

    def _check_references(self, entity: SObject, values: Mapping[str, Value]) -> None:
        for field in entity.fields.values():
            value = values.get(field.name)
            if field.reference_to is None or value is None:
                continue
            target = self._org.entity(field.reference_to)
            if target is not None and self._org.find(target, str(value)) is None:
                raise ApiError(
                    "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=[field.name]
                )

    def _check_unique(self, entity: SObject, record_id: str, values: Mapping[str, Value]) -> None:
        for field in entity.fields.values():
            value = values.get(field.name)
            if not field.unique or value is None:
                continue
            for other in self._org.live(entity):
                if other.get(field.name) == value and other["Id"] != record_id:
                    raise ApiError(
                        "DUPLICATE_VALUE",
                        f"duplicate value found: {field.name} duplicates value on record with id: "
                        f"{other['Id']}",
                        status=HTTPStatus.BAD_REQUEST,
                    )

    def _parent(self, entity: SObject, values: Mapping[str, Value], name: str) -> Record | None:
        field = entity.field(name)
        target = None if field is None else self._org.entity(str(field.reference_to))
        value = values.get(name)
        return None if target is None or value is None else self._org.find(target, str(value))
