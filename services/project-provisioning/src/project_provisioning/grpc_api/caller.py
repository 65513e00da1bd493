"""What the caller of a method may see, and under which name it acts."""

from project_provisioning.domain.person import Sight, is_limited_to_own
from throughline_runtime.identity import current_caller


def sight_of_caller() -> Sight:
    """Return the entities the caller is limited to, and whether it sees own work only."""
    caller = current_caller()
    limited = is_limited_to_own(caller.roles)
    return Sight(caller.entities, caller.subject if limited else None)


def subject_of_caller() -> str:
    """Return the token subject under which the caller acts."""
    return current_caller().subject
