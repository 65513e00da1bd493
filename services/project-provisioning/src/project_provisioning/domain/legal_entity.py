"""The firm's companies, as far as people, calendars and money here need them."""

from dataclasses import dataclass
from uuid import UUID

from throughline_core.errors import FailedPrecondition


class LegalEntityUnknown(FailedPrecondition):
    """What customer-contract recorded of the company has not arrived here yet."""

    code = "legal_entity.not_known_yet"


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A company that employs; `working_days` are 1 = Monday to 7 = Sunday."""

    legal_entity_id: UUID
    version: int
    code: str
    currency: str
    time_zone: str
    country: str
    holiday_country: str
    holiday_subdivision: str
    working_days: tuple[int, ...]
