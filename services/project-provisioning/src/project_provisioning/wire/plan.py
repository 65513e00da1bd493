"""Plans as messages: edits, estimates, progress, budgets, planned revenue."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from project_provisioning.domain.budget import Budget, BudgetState, Figures
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.domain.progress import (
    Basis,
    CostProgress,
    Estimate,
    Progress,
    TaskProgress,
)
from project_provisioning.domain.revenue import PlannedRevenue, RevenueBasis
from project_provisioning.domain.task_edit import (
    Add,
    Close,
    Edit,
    EditAmbiguous,
    Move,
    Reopen,
    Timing,
    Update,
)
from throughline.project_provisioning.v1 import milestone_service_pb2
from throughline.project_provisioning.v1 import plan_service_pb2 as pb
from throughline_core.rounding import round_half_away
from throughline_runtime.fields import (
    EnumMap,
    read_optional_date,
    read_optional_decimal,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
    write_optional_money,
)
from throughline_runtime.ids import new_id

BASES: Final = EnumMap(pb.RemainingBasis, Basis)
BUDGET_STATES: Final = EnumMap(pb.BudgetState, BudgetState)
REVENUE_BASES: Final = EnumMap(pb.RevenueBasis, RevenueBasis)

_HOURS_PLACES: Final = 2
_MINUTES_OF_HOUR: Final = 60


def read_edits(edits: Sequence[pb.TaskEdit]) -> list[tuple[str, Edit]]:
    """Return the edits with the paths of their fields.

    Raises:
        EditAmbiguous: one says nothing, or more than one thing.
    """
    return [_read_edit(f"edits[{index}]", edit) for index, edit in enumerate(edits)]


def read_add(field: str, new: pb.NewTask) -> Add:
    """Return a new task, with a fresh id unless one was sent."""
    return Add(
        task_id=read_optional_uuid(f"{field}.task_id", new.task_id) or new_id(),
        name=new.name,
        parent_task_id=read_optional_uuid(f"{field}.parent_task_id", new.parent_task_id),
        after_task_id=read_optional_uuid(f"{field}.after_task_id", new.after_task_id),
        phase=new.phase,
        contract_line_id=read_optional_uuid(f"{field}.contract_line_id", new.contract_line_id),
        billable=new.billable if new.HasField("billable") else None,
        timing=_read_timing(field, new),
    )


def read_update(field: str, plan: pb.TaskPlan | pb.UpdateTaskRequest) -> Update:
    """Return what the plan says about a task from now on."""
    return Update(
        task_id=read_uuid(_path(field, "task_id"), plan.task_id),
        name=plan.name,
        phase=plan.phase,
        billable=plan.billable if plan.HasField("billable") else None,
        timing=_read_timing(field, plan),
    )


def read_move(field: str, move: pb.TaskMove | pb.MoveTaskRequest) -> Move:
    """Return where a task goes."""
    parent = read_optional_uuid(_path(field, "parent_task_id"), move.parent_task_id)
    after = read_optional_uuid(_path(field, "after_task_id"), move.after_task_id)
    return Move(read_uuid(_path(field, "task_id"), move.task_id), parent, after)


def write_estimate(estimate: Estimate) -> pb.Estimate:
    """Return an estimate."""
    return pb.Estimate(
        estimate_id=write_id(estimate.estimate_id),
        task_id=write_id(estimate.task_id),
        remaining_hours=write_hours(estimate.remaining_hours),
        as_of=write_date(estimate.as_of),
        note=estimate.note,
        entered_by=estimate.entered_by,
        entered_at=write_instant(estimate.entered_at),
    )


def write_progress(progress: Progress) -> pb.Progress:
    """Return hours done and to be done."""
    return pb.Progress(
        planned_hours=write_hours(progress.planned),
        approved_hours=write_hours(progress.approved),
        remaining_hours=write_hours(progress.remaining),
        at_completion_hours=write_hours(progress.at_completion),
        complete_percent=write_hours(progress.complete_percent),
    )


def write_task_progress(each: TaskProgress) -> pb.TaskProgress:
    """Return how far a task is."""
    return pb.TaskProgress(
        task_id=write_id(each.task.task_id),
        wbs_code=each.task.wbs_code,
        name=each.task.name,
        contract_line_id=write_id(each.task.contract_line_id),
        progress=write_progress(each.progress),
        basis=BASES.write(each.basis),
    )


def write_cost(cost: CostProgress) -> pb.CostProgress:
    """Return what hours cost so far and at completion."""
    percent = cost.complete_percent
    return pb.CostProgress(
        approved_cost=write_money(cost.approved),
        at_completion_cost=write_optional_money(cost.at_completion),
        complete_percent="" if percent is None else write_hours(percent),
        uncosted_hours=write_hours(cost.uncosted),
    )


def write_budget(
    project_id: UUID, budget: Budget, policy: PlanPolicy
) -> pb.GetProjectBudgetResponse:
    """Return a project's budgets."""
    warning = policy.budget_warning_percent
    return pb.GetProjectBudgetResponse(
        project_id=write_id(project_id),
        figures=_write_figures(budget.figures, warning),
        lines=[
            pb.LineBudget(
                contract_line_id=write_id(each.line.contract_line_id),
                billing_model=each.line.billing_model,
                figures=_write_figures(each.figures, warning),
            )
            for each in budget.lines
        ],
        purchase_orders=[
            pb.PurchaseOrderBudget(
                number=each.order.number,
                valid_from=write_date(each.order.valid_from),
                valid_to=write_date(each.order.valid_to) or None,
                contract_line_ids=sorted(map(write_id, each.order.contract_line_ids)),
                figures=_write_figures(each.figures, warning),
            )
            for each in budget.orders
        ],
        warning_percent=warning,
    )


def write_revenue(rows: Iterable[PlannedRevenue]) -> list[pb.PlannedRevenue]:
    """Return planned revenue by line, month and element."""
    return [
        pb.PlannedRevenue(
            contract_line_id=write_id(row.contract_line_id),
            month=row.month,
            basis=REVENUE_BASES.write(row.basis),
            element=row.element,
            hours="" if row.hours is None else write_hours(row.hours),
            amount=write_optional_money(row.amount),
            reason=row.reason,
        )
        for row in rows
    ]


def write_plan_policy(policy: PlanPolicy) -> milestone_service_pb2.PlanPolicy:
    """Return a policy."""
    return milestone_service_pb2.PlanPolicy(
        legal_entity_id=write_id(policy.legal_entity_id),
        acceptance_reminder_days=policy.acceptance_reminder_days,
        budget_warning_percent=policy.budget_warning_percent,
    )


def write_hours(hours: Decimal) -> str:
    """Return hours, or a percentage, with two decimals."""
    return f"{round_half_away(hours, _HOURS_PLACES):.{_HOURS_PLACES}f}"


def _read_edit(field: str, edit: pb.TaskEdit) -> tuple[str, Edit]:
    named = [descriptor.name for descriptor, _ in edit.ListFields()]
    if len(named) != 1:
        raise EditAmbiguous(
            f"an edit does one thing, not {len(named)}",
            field=field,
            advice="send exactly one of add, update, move, close and reopen",
        )
    path = f"{field}.{named[0]}"
    if named[0] == "add":
        return path, read_add(path, edit.add)
    if named[0] == "update":
        return path, read_update(path, edit.update)
    if named[0] == "move":
        return path, read_move(path, edit.move)
    if named[0] == "close":
        return path, Close(read_uuid(f"{path}.task_id", edit.close.task_id))
    return path, Reopen(read_uuid(f"{path}.task_id", edit.reopen.task_id))


def _read_timing(field: str, plan: pb.NewTask | pb.TaskPlan | pb.UpdateTaskRequest) -> Timing:
    hours = read_optional_decimal(
        _path(field, "planned_hours"), plan.planned_hours, places=_HOURS_PLACES
    )
    minutes = None if hours is None else int(round_half_away(hours * _MINUTES_OF_HOUR, 0))
    return Timing(
        starts_on=read_optional_date(_path(field, "starts_on"), plan.starts_on),
        ends_on=read_optional_date(_path(field, "ends_on"), plan.ends_on),
        planned_minutes=minutes,
        predecessor_task_ids=tuple(
            read_uuid(_path(field, "predecessor_task_ids"), each)
            for each in plan.predecessor_task_ids
        ),
    )


def _write_figures(figures: Figures, warning_percent: int) -> pb.BudgetFigures:
    used = figures.used_percent
    return pb.BudgetFigures(
        planned_hours=write_hours(figures.planned_hours),
        approved_hours=write_hours(figures.approved_hours),
        planned_amount=write_optional_money(figures.planned),
        approved_amount=write_optional_money(figures.approved),
        unpriced_hours=write_hours(figures.unpriced_hours),
        used_percent="" if used is None else write_hours(used),
        state=BUDGET_STATES.write(figures.state(warning_percent)),
    )


def _path(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
