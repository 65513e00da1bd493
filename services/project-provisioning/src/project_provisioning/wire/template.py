"""Templates as messages."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer as Repeated

from project_provisioning.domain.formula import Formula, read_formula
from project_provisioning.domain.template import (
    HOURS_PLACES,
    BillingModel,
    BudgetKind,
    Plan,
    Template,
    TemplateBudget,
    TemplateMilestone,
    TemplatePhase,
    TemplateRole,
    TemplateStatus,
    TemplateTask,
    Variant,
)
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.v1 import project_service_pb2
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    read_optional_enum,
    write_decimal,
    write_instant,
)

BILLING_MODELS: Final = EnumMap(quote_pb2.BillingModel, BillingModel)
BUDGET_KINDS: Final = EnumMap(project_service_pb2.BudgetKind, BudgetKind)
STATUSES: Final = EnumMap(pb.TemplateStatus, TemplateStatus)
_PERCENT_PLACES: Final = 4


class _WithPlan(Protocol):
    """What a request and a variant have in common."""

    @property
    def phases(self) -> Repeated[pb.TemplatePhase]: ...
    @property
    def roles(self) -> Repeated[pb.TemplateRole]: ...
    @property
    def milestones(self) -> Repeated[pb.TemplateMilestone]: ...
    @property
    def budgets(self) -> Repeated[pb.TemplateBudget]: ...


def read_template(request: pb.PutTemplateRequest, *, at: datetime, by: str) -> Template:
    """Return the draft of a version, which gets its number when it is proposed.

    Raises:
        FormulaMalformed: names the formula's field and the position in it.
    """
    models = [
        read_enum("billing_models", value, BILLING_MODELS) for value in request.billing_models
    ]
    return Template(
        code=request.code,
        version=0,
        name=request.name,
        billing_models=tuple(sorted(models)),
        plan=_read_plan(request, ""),
        variants=tuple(
            Variant(
                variant.region,
                read_optional_enum("billing_model", variant.billing_model, BILLING_MODELS),
                _read_plan(variant, f"variants[{i}]."),
            )
            for i, variant in enumerate(request.variants)
        ),
        status=TemplateStatus.PROPOSED,
        proposed_at=at,
        proposed_by=by,
    )


def _read_plan(plan: _WithPlan, field: str) -> Plan:
    return Plan(
        phases=tuple(
            TemplatePhase(phase.name, _read_tasks(phase.tasks, f"{field}phases[{i}].tasks"))
            for i, phase in enumerate(plan.phases)
        ),
        roles=tuple(_read_role(f"{field}roles[{i}]", role) for i, role in enumerate(plan.roles)),
        milestones=tuple(
            _read_milestone(f"{field}milestones[{i}]", part)
            for i, part in enumerate(plan.milestones)
        ),
        budgets=tuple(
            TemplateBudget(
                read_enum(f"{field}budgets[{i}].kind", budget.kind, BUDGET_KINDS),
                read_formula(budget.formula, field=f"{field}budgets[{i}].formula"),
            )
            for i, budget in enumerate(plan.budgets)
        ),
    )


def _read_tasks(tasks: Sequence[pb.TemplateTask], field: str) -> tuple[TemplateTask, ...]:
    return tuple(
        TemplateTask(
            key=task.key,
            name=task.name,
            billable=task.billable,
            children=_read_tasks(task.children, f"{field}[{i}].children"),
            hours=_read_formula(f"{field}[{i}].hours_formula", task.hours_formula),
            starts_after_days=_read_formula(
                f"{field}[{i}].starts_after_days_formula", task.starts_after_days_formula
            ),
            lasts_days=_read_formula(f"{field}[{i}].lasts_days_formula", task.lasts_days_formula),
        )
        for i, task in enumerate(tasks)
    )


def _read_formula(field: str, text: str) -> Formula | None:
    return read_formula(text, field=field) if text else None


def _read_role(field: str, role: pb.TemplateRole) -> TemplateRole:
    hours: Decimal | None = None
    share: Decimal | None = None
    if role.HasField("planned_hours"):
        hours = read_decimal(f"{field}.planned_hours", role.planned_hours, places=HOURS_PLACES)
    if role.HasField("share_percent"):
        share = read_decimal(f"{field}.share_percent", role.share_percent, places=_PERCENT_PLACES)
    formula = _read_formula(f"{field}.hours_formula", role.hours_formula)
    return TemplateRole(role.role, hours, share, formula)


def _read_milestone(field: str, part: pb.TemplateMilestone) -> TemplateMilestone:
    return TemplateMilestone(
        part.key,
        part.name,
        read_decimal(f"{field}.share_percent", part.share_percent, places=_PERCENT_PLACES),
        _read_formula(f"{field}.due_after_days_formula", part.due_after_days_formula),
    )


def write_template(template: Template) -> pb.Template:
    """Return one version of a template."""
    is_published = template.status is TemplateStatus.PUBLISHED
    return pb.Template(
        code=template.code,
        version=template.version,
        name=template.name,
        billing_models=map(BILLING_MODELS.write, template.billing_models),
        phases=_write_phases(template.plan),
        roles=map(_write_role, template.plan.roles),
        milestones=map(_write_milestone, template.plan.milestones),
        budgets=map(_write_budget, template.plan.budgets),
        variants=map(_write_variant, template.variants),
        published_at=write_instant(template.decided_at if is_published else None),
        published_by=template.decided_by if is_published else "",
        status=STATUSES.write(template.status),
        proposed_at=write_instant(template.proposed_at),
        proposed_by=template.proposed_by,
        decided_at=write_instant(template.decided_at),
        decided_by=template.decided_by,
        comment=template.comment,
    )


def _write_variant(variant: Variant) -> pb.TemplateVariant:
    model = variant.billing_model
    return pb.TemplateVariant(
        region=variant.region,
        billing_model=(
            BILLING_MODELS.write(model) if model else quote_pb2.BILLING_MODEL_UNSPECIFIED
        ),
        phases=_write_phases(variant.plan),
        roles=map(_write_role, variant.plan.roles),
        milestones=map(_write_milestone, variant.plan.milestones),
        budgets=map(_write_budget, variant.plan.budgets),
    )


def _write_phases(plan: Plan) -> Iterator[pb.TemplatePhase]:
    for phase in plan.phases:
        yield pb.TemplatePhase(name=phase.name, tasks=map(_write_task, phase.tasks))


def _write_task(task: TemplateTask) -> pb.TemplateTask:
    return pb.TemplateTask(
        key=task.key,
        name=task.name,
        billable=task.billable,
        children=map(_write_task, task.children),
        hours_formula=_text(task.hours),
        starts_after_days_formula=_text(task.starts_after_days),
        lasts_days_formula=_text(task.lasts_days),
    )


def _write_role(role: TemplateRole) -> pb.TemplateRole:
    hours, share = role.planned_hours, role.share_percent
    return pb.TemplateRole(
        role=role.role,
        planned_hours=None if hours is None else write_decimal(hours),
        share_percent=None if share is None else write_decimal(share),
        hours_formula=_text(role.formula),
    )


def _write_milestone(part: TemplateMilestone) -> pb.TemplateMilestone:
    return pb.TemplateMilestone(
        key=part.key,
        name=part.name,
        share_percent=write_decimal(part.share_percent),
        due_after_days_formula=_text(part.due_after_days),
    )


def _write_budget(budget: TemplateBudget) -> pb.TemplateBudget:
    return pb.TemplateBudget(kind=BUDGET_KINDS.write(budget.kind), formula=budget.formula.text)


def _text(formula: Formula | None) -> str:
    return "" if formula is None else formula.text
