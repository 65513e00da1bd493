"""Templates as messages."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from project_provisioning.domain.template import (
    HOURS_PLACES,
    BillingModel,
    Template,
    TemplatePhase,
    TemplateRole,
    TemplateTask,
)
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    write_decimal,
    write_instant,
)

BILLING_MODELS: Final = EnumMap(quote_pb2.BillingModel, BillingModel)
_PERCENT_PLACES: Final = 4


def read_template(request: pb.PutTemplateRequest, *, at: datetime, by: str) -> Template:
    """Return the draft of a version, which gets its number when it is published."""
    models = [
        read_enum("billing_models", value, BILLING_MODELS) for value in request.billing_models
    ]
    return Template(
        code=request.code,
        version=0,
        name=request.name,
        billing_models=tuple(sorted(models)),
        phases=tuple(map(_read_phase, request.phases)),
        roles=tuple(_read_role(f"roles[{i}]", role) for i, role in enumerate(request.roles)),
        published_at=at,
        published_by=by,
    )


def _read_phase(phase: pb.TemplatePhase) -> TemplatePhase:
    tasks = (TemplateTask(task.key, task.name, task.billable) for task in phase.tasks)
    return TemplatePhase(phase.name, tuple(tasks))


def _read_role(field: str, role: pb.TemplateRole) -> TemplateRole:
    hours: Decimal | None = None
    share: Decimal | None = None
    if role.HasField("planned_hours"):
        hours = read_decimal(f"{field}.planned_hours", role.planned_hours, places=HOURS_PLACES)
    if role.HasField("share_percent"):
        share = read_decimal(f"{field}.share_percent", role.share_percent, places=_PERCENT_PLACES)
    return TemplateRole(role.role, hours, share)


def write_template(template: Template) -> pb.Template:
    """Return one version of a template."""
    return pb.Template(
        code=template.code,
        version=template.version,
        name=template.name,
        billing_models=map(BILLING_MODELS.write, template.billing_models),
        phases=map(_write_phase, template.phases),
        roles=map(_write_role, template.roles),
        published_at=write_instant(template.published_at),
        published_by=template.published_by,
    )


def _write_phase(phase: TemplatePhase) -> pb.TemplatePhase:
    tasks = (
        pb.TemplateTask(key=task.key, name=task.name, billable=task.billable)
        for task in phase.tasks
    )
    return pb.TemplatePhase(name=phase.name, tasks=tasks)


def _write_role(role: TemplateRole) -> pb.TemplateRole:
    hours, share = role.planned_hours, role.share_percent
    return pb.TemplateRole(
        role=role.role,
        planned_hours=None if hours is None else write_decimal(hours),
        share_percent=None if share is None else write_decimal(share),
    )
