"""What the caller of a method may see, and under which name it acts."""

from typing import Final

from project_provisioning.domain.person import Sight, is_limited_to_own
from throughline_runtime.identity import ROLE_ADMIN, ScopeMissing, current_caller

_PMO: Final = frozenset({"ROLE_PMO", ROLE_ADMIN})
_COST_ROLES: Final = frozenset({ROLE_ADMIN, "ROLE_FINANCE"})


def sight_of_caller() -> Sight:
    """Return the entities the caller is limited to, and whether it sees own work only."""
    caller = current_caller()
    limited = is_limited_to_own(caller.roles)
    return Sight(caller.entities, caller.subject if limited else None)


def subject_of_caller() -> str:
    """Return the token subject under which the caller acts."""
    return current_caller().subject


def require_named_scope(scope: str) -> None:
    """Refuse a caller whose token does not name the scope, unless it is finance or administrator.

    Everywhere else a token without scopes is not limited; to see what people cost takes more.

    Raises:
        ScopeMissing: see above.
    """
    caller = current_caller()
    if caller.roles.isdisjoint(_COST_ROLES) and scope not in caller.scopes:
        raise ScopeMissing(
            f"this needs a token issued with the scope {scope}",
            advice="ask an administrator for one, or somebody of finance",
        )


def is_pmo_caller() -> bool:
    """Whether the caller acts for the PMO, as an administrator may."""
    return not current_caller().roles.isdisjoint(_PMO)
