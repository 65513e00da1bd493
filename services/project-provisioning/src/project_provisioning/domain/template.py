"""Delivery templates: how a sold line becomes phases, tasks and role requirements."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from throughline_core.errors import InvalidArgument, NotFound
from throughline_core.rounding import round_half_away

HOURS_PLACES = 2


class BillingModel(StrEnum):
    """How a service line earns its money."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    RECURRING = "recurring"
    PASS_THROUGH = "pass_through"
    RETAINER = "retainer"
    USAGE = "usage"


class TemplateNotFound(NotFound):
    """There is no such template, or no such version of it."""

    code = "template.not_found"


class TemplateMalformed(InvalidArgument):
    """The template contradicts itself."""

    code = "template.malformed"


@dataclass(frozen=True, slots=True)
class TemplateTask:
    """A task each project gets that is made from the template."""

    key: str
    name: str
    billable: bool


@dataclass(frozen=True, slots=True)
class TemplatePhase:
    """A part of the plan that groups tasks, in order."""

    name: str
    tasks: tuple[TemplateTask, ...]


@dataclass(frozen=True, slots=True)
class TemplateRole:
    """A role the plan needs: a number of hours, or a percentage of the hours sold."""

    role: str
    planned_hours: Decimal | None
    share_percent: Decimal | None

    def hours_of(self, quantity: Decimal) -> Decimal:
        """Return the hours planned when `quantity` units, hours, were sold; two decimals."""
        if self.planned_hours is not None:
            return self.planned_hours
        assert self.share_percent is not None
        return round_half_away(quantity * self.share_percent / 100, HOURS_PLACES)


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a template; it never changes, the next version follows it."""

    code: str
    version: int
    name: str
    billing_models: tuple[BillingModel, ...]
    phases: tuple[TemplatePhase, ...]
    roles: tuple[TemplateRole, ...]
    published_at: datetime
    published_by: str

    def tasks(self) -> Iterator[tuple[TemplatePhase, TemplateTask]]:
        """Yield each task with its phase, in the order of the plan."""
        for phase in self.phases:
            for task in phase.tasks:
                yield phase, task


def publish(draft: Template, *, latest_version: int) -> Template:
    """Return `draft` as the version after `latest_version`, which is 0 before the first.

    Raises:
        TemplateMalformed: a task key or a role appears twice, or a role names both hours and a
            share, or neither.
    """
    _refuse_repeated("task key", [task.key for _, task in draft.tasks()], "phases")
    _refuse_repeated("role", [role.role for role in draft.roles], "roles")
    for index, role in enumerate(draft.roles):
        if (role.planned_hours is None) == (role.share_percent is None):
            raise TemplateMalformed(
                f"role {role.role} needs planned hours or a share, and not both",
                field=f"roles[{index}]",
                advice="send either planned_hours or share_percent",
            )
    return replace(draft, version=latest_version + 1)


def _refuse_repeated(what: str, values: list[str], field: str) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise TemplateMalformed(
            f"{what} {repeated[0]} appears more than once",
            field=field,
            advice=f"give each {what} once",
        )
