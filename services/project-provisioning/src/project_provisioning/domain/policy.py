"""When plans need somebody's attention: a legal entity's policy, or the default."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """Days a completed milestone may wait for the client; percent of a budget that is told."""

    legal_entity_id: UUID
    acceptance_reminder_days: int = 10
    budget_warning_percent: int = 80
