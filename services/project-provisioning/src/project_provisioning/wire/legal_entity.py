"""The firm's companies as customer-contract publishes them."""

from typing import Final

from project_provisioning.domain.legal_entity import LegalEntity
from throughline.customer_contract.v1 import legal_entity_pb2
from throughline_runtime.fields import read_optional_date, read_uuid

_MONDAY_TO_FRIDAY: Final = (1, 2, 3, 4, 5)


def read_legal_entity(entity: legal_entity_pb2.LegalEntity) -> LegalEntity:
    """Return what people, calendars and money here need of a company."""
    country = entity.address.country
    return LegalEntity(
        legal_entity_id=read_uuid("legal_entity_id", entity.legal_entity_id),
        version=entity.version,
        code=entity.code,
        currency=entity.currency,
        time_zone=entity.time_zone,
        country=country,
        holiday_country=entity.holiday_country or country,
        holiday_subdivision=entity.holiday_subdivision,
        working_days=tuple(entity.working_days) or _MONDAY_TO_FRIDAY,
        name=entity.name,
        closed_through=read_optional_date("closed_through", entity.closed_through),
    )
