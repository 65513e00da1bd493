"""Delivery templates: how a sold line becomes phases, tasks, milestones, roles and budgets."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from project_provisioning.domain.formula import Formula, Values
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from throughline_core.rounding import round_half_away
from throughline_core.transition import move

HOURS_PLACES: Final = 2
TASKS_MAX: Final = 500
DEPTH_MAX: Final = 8

_WHOLE: Final = Decimal(100)


class BillingModel(StrEnum):
    """How a service line earns its money."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    RECURRING = "recurring"
    PASS_THROUGH = "pass_through"
    RETAINER = "retainer"
    USAGE = "usage"


class TemplateStatus(StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


TRANSITIONS: Final[Mapping[TemplateStatus, frozenset[TemplateStatus]]] = {
    TemplateStatus.PROPOSED: frozenset(
        {TemplateStatus.PUBLISHED, TemplateStatus.REJECTED, TemplateStatus.WITHDRAWN}
    ),
    TemplateStatus.PUBLISHED: frozenset(),
    TemplateStatus.REJECTED: frozenset(),
    TemplateStatus.WITHDRAWN: frozenset(),
}


class BudgetKind(StrEnum):
    """What a budget limits; revenue is the line's net total and needs none."""

    COST = "cost"
    HOURS = "hours"
    EXPENSES = "expenses"


class TemplateNotFound(NotFound):
    """There is no such template, or no such version of it."""

    code = "template.not_found"


class TemplateMalformed(InvalidArgument):
    """The template contradicts itself."""

    code = "template.malformed"


class OwnTemplate(PermissionDenied):
    """Who proposed a version does not decide on it."""

    code = "template.own_proposal"


class NotOwnTemplate(PermissionDenied):
    """A version is withdrawn by who proposed it."""

    code = "template.not_own_proposal"


class TemplateSuperseded(FailedPrecondition):
    """A later version was published already."""

    code = "template.superseded"


@dataclass(frozen=True, slots=True)
class TemplateTask:
    """A task with its parts. `hours`, `starts_after_days` and `lasts_days` are per line."""

    key: str
    name: str
    billable: bool
    children: tuple["TemplateTask", ...] = ()
    hours: Formula | None = None
    starts_after_days: Formula | None = None
    lasts_days: Formula | None = None


@dataclass(frozen=True, slots=True)
class TemplatePhase:
    """A part of the plan that groups tasks, in order."""

    name: str
    tasks: tuple[TemplateTask, ...]


@dataclass(frozen=True, slots=True)
class TemplateRole:
    """A role the plan needs: hours, a percentage of the hours sold, or a formula; one of them."""

    role: str
    planned_hours: Decimal | None
    share_percent: Decimal | None
    formula: Formula | None = None

    def hours_of(self, values: Values) -> Decimal:
        """Return the hours planned for a line; two decimals.

        Raises:
            FormulaFailed: see `Formula.value`.
        """
        if self.planned_hours is not None:
            return self.planned_hours
        if self.formula is not None:
            return round_half_away(self.formula.value(values), HOURS_PLACES)
        assert self.share_percent is not None
        return round_half_away(values["quantity"] * self.share_percent / 100, HOURS_PLACES)


@dataclass(frozen=True, slots=True)
class TemplateMilestone:
    """A part of a fixed fee whose quote named none; `share_percent` of the line's net total."""

    key: str
    name: str
    share_percent: Decimal
    due_after_days: Formula | None = None


@dataclass(frozen=True, slots=True)
class TemplateBudget:
    """What a line is planned to take: contract currency, or hours."""

    kind: BudgetKind
    formula: Formula


@dataclass(frozen=True, slots=True)
class Plan:
    """What a line becomes."""

    phases: tuple[TemplatePhase, ...] = ()
    roles: tuple[TemplateRole, ...] = ()
    milestones: tuple[TemplateMilestone, ...] = ()
    budgets: tuple[TemplateBudget, ...] = ()

    def tasks(self) -> Iterator[TemplateTask]:
        """Yield every task, parents before their parts."""
        for phase in self.phases:
            yield from _flat(phase.tasks)


@dataclass(frozen=True, slots=True)
class Variant:
    """A plan that stands in for the general one; no region or no billing model means any."""

    region: str
    billing_model: BillingModel | None
    plan: Plan

    def fits(self, model: BillingModel, region: str) -> bool:
        """Return whether the variant is meant for such a line."""
        return self.billing_model in (None, model) and self.region in ("", region)

    @property
    def rank(self) -> tuple[bool, bool]:
        """The greater, the more specific: a region says more than a billing model."""
        return (self.region != "", self.billing_model is not None)


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a template; what it plans never changes, the next version follows it."""

    code: str
    version: int
    name: str
    billing_models: tuple[BillingModel, ...]
    plan: Plan
    variants: tuple[Variant, ...]
    status: TemplateStatus
    proposed_at: datetime
    proposed_by: str
    decided_at: datetime | None = None
    decided_by: str = ""
    comment: str = ""

    @property
    def label(self) -> str:
        """The version as people read it."""
        return f"{self.code}@{self.version}"

    def plan_of(self, model: BillingModel, region: str) -> Plan:
        """Return the most specific plan there is for such a line."""
        fitting = [variant for variant in self.variants if variant.fits(model, region)]
        return max(fitting, key=lambda variant: variant.rank).plan if fitting else self.plan


def propose(draft: Template, *, latest_version: int) -> Template:
    """Return `draft` as the version after `latest_version`, which is 0 before the first.

    Raises:
        TemplateMalformed: keys, roles, budgets or variants appear twice, a role names not exactly
            one way to its hours, milestones do not sum to 100 percent, or the plan is too large.
    """
    _check_plan(draft.plan, "")
    places = [f"{each.region or '*'}/{each.billing_model or '*'}" for each in draft.variants]
    _refuse_repeated("variant", places, "variants")
    for index, variant in enumerate(draft.variants):
        field = f"variants[{index}]."
        if variant.rank == (False, False):
            raise TemplateMalformed(
                "a variant for any region and billing model is the general plan",
                field=f"{field}region",
                advice="name a region or a billing model",
            )
        _check_plan(variant.plan, field)
    return replace(draft, version=latest_version + 1)


def approve(
    template: Template, *, by: str, at: datetime, comment: str, published_version: int
) -> Template:
    """Publish a proposed version; `published_version` is the latest published, 0 before any.

    Raises:
        IllegalTransition: it is decided already.
        OwnTemplate: `by` proposed it.
        TemplateSuperseded: a later version is published.
    """
    published = _decide(template, TemplateStatus.PUBLISHED, by=by, at=at, comment=comment)
    if template.version < published_version:
        raise TemplateSuperseded(
            f"version {published_version} of template {template.code} is published",
            field="version",
            advice="propose a new version from the published one",
        )
    return published


def reject(template: Template, *, by: str, at: datetime, comment: str) -> Template:
    """Turn a proposed version down.

    Raises:
        IllegalTransition: it is decided already.
        OwnTemplate: `by` proposed it.
    """
    return _decide(template, TemplateStatus.REJECTED, by=by, at=at, comment=comment)


def withdraw(template: Template, *, by: str, at: datetime) -> Template:
    """Take one's own proposal back.

    Raises:
        IllegalTransition: it is decided already.
        NotOwnTemplate: somebody else proposed it.
    """
    withdrawn = _step(template, TemplateStatus.WITHDRAWN, by=by, at=at)
    if by != template.proposed_by:
        raise NotOwnTemplate("only who proposed a version withdraws it", advice="reject it instead")
    return withdrawn


def _decide(
    template: Template, status: TemplateStatus, *, by: str, at: datetime, comment: str
) -> Template:
    decided = _step(template, status, by=by, at=at)
    if by == template.proposed_by:
        raise OwnTemplate(
            "who proposed a version does not decide on it", advice="ask a second person to do it"
        )
    return replace(decided, comment=comment)


def _step(template: Template, status: TemplateStatus, *, by: str, at: datetime) -> Template:
    reached = move(f"template {template.label}", template.status, status, TRANSITIONS)
    return replace(template, status=reached, decided_at=at, decided_by=by)


def _flat(tasks: Iterable[TemplateTask]) -> Iterator[TemplateTask]:
    for task in tasks:
        yield task
        yield from _flat(task.children)


def _check_plan(plan: Plan, field: str) -> None:
    top = [task for phase in plan.phases for task in phase.tasks]
    _check_siblings(top, f"{field}phases", depth=1)
    if (count := sum(1 for _ in plan.tasks())) > TASKS_MAX:
        raise TemplateMalformed(
            f"{count} tasks are more than {TASKS_MAX}",
            field=f"{field}phases",
            advice="plan in more than one template, or less finely",
        )
    _refuse_repeated("role", [role.role for role in plan.roles], f"{field}roles")
    for index, role in enumerate(plan.roles):
        ways = (role.planned_hours, role.share_percent, role.formula)
        if sum(way is not None for way in ways) != 1:
            raise TemplateMalformed(
                f"role {role.role} needs one way to its hours",
                field=f"{field}roles[{index}]",
                advice="send one of planned_hours, share_percent and hours_formula",
            )
    _refuse_repeated("budget", [each.kind for each in plan.budgets], f"{field}budgets")
    _refuse_repeated("milestone", [each.key for each in plan.milestones], f"{field}milestones")
    shares = sum((each.share_percent for each in plan.milestones), Decimal(0))
    if plan.milestones and shares != _WHOLE:
        raise TemplateMalformed(
            f"the milestones' shares sum to {shares:f} percent",
            field=f"{field}milestones",
            advice="let them sum to 100",
        )


def _check_siblings(tasks: Sequence[TemplateTask], field: str, *, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TemplateMalformed(
            f"tasks are nested more than {DEPTH_MAX} deep", field=field, advice="plan less deeply"
        )
    _refuse_repeated("task key", [task.key for task in tasks], field)
    for task in tasks:
        if task.children:
            _check_siblings(task.children, field, depth=depth + 1)


def _refuse_repeated(what: str, values: Sequence[str], field: str) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise TemplateMalformed(
            f"{what} {repeated[0]} appears more than once",
            field=field,
            advice=f"give each {what} once",
        )
