"""The firm's companies, as far as people, calendars and money here need them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from project_provisioning.domain.party import EntityFacts
from throughline_core.errors import FailedPrecondition


class LegalEntityUnknown(FailedPrecondition):
    """What customer-contract recorded of the company has not arrived here yet."""

    code = "legal_entity.not_known_yet"


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A company that employs; `working_days` are 1 = Monday to 7 = Sunday.

    Its accounting is closed up to and including `closed_through`; None = nothing is closed.
    """

    legal_entity_id: UUID
    version: int
    code: str
    currency: str
    time_zone: str
    country: str
    holiday_country: str
    holiday_subdivision: str
    working_days: tuple[int, ...]
    name: str = ""
    closed_through: date | None = None

    @property
    def facts(self) -> EntityFacts:
        """What projects know of it."""
        return EntityFacts(
            version=self.version,
            code=self.code,
            name=self.name,
            currency=self.currency,
            time_zone=self.time_zone,
            country=self.country,
            holiday_country=self.holiday_country,
            holiday_subdivision=self.holiday_subdivision,
            working_days=self.working_days,
        )
