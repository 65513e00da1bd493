"""Planned costs in replies: shown to those who plan them, absent for everybody else."""

from typing import Final, TypeVar

from google.protobuf.message import Message

from throughline_runtime.identity import ROLE_ADMIN, ROLE_SERVICE, Caller, current_caller

COST_SCOPE: Final = "costs.read"
_PLANNERS: Final = frozenset(
    {"ROLE_SALES_OPERATIONS", "ROLE_PMO", "ROLE_FINANCE", ROLE_ADMIN, ROLE_SERVICE}
)
_FIELD: Final = "cost_budget"

Reply = TypeVar("Reply", bound=Message)


def may_see_costs(caller: Caller) -> bool:
    """Whether the caller plans costs, passes them on for its own use, or was given their scope."""
    return (
        caller.actor is not None
        or not caller.roles.isdisjoint(_PLANNERS)
        or COST_SCOPE in caller.scopes
    )


def for_caller(reply: Reply) -> Reply:
    """Return the reply without what it says of planned costs, unless the caller may see them.

    A difference in them stays, without its values: that something changed is no figure.
    """
    if not may_see_costs(current_caller()):
        _hide(reply)
    return reply


def _hide(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name == _FIELD:
            message.ClearField(_FIELD)
        elif field.name == "term" and value == _FIELD:
            message.ClearField("old_value")
            message.ClearField("new_value")
        elif field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                _hide(part)
