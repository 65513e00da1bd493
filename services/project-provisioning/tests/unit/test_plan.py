"""Plans are edited in order, all of it or nothing, and stay trees without cycles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project_provisioning_builders import (
    FIXED_FEE_LINE,
    PASS_THROUGH_LINE,
    TIME_LINE,
    an_id,
    planned,
)

from project_provisioning.domain import task_edit as refusals
from project_provisioning.domain.closing import ProjectClosed
from project_provisioning.domain.plan import edit
from project_provisioning.domain.project import (
    Project,
    ProjectChanged,
    ProjectStatus,
    Task,
    TaskClosed,
    TaskNotFound,
)
from project_provisioning.domain.task_edit import Add, Close, Edit, Move, Reopen, Timing, Update
from throughline_core.errors import Refusal

A, B, C, D = (an_id(f"90{number}") for number in range(1, 5))


def the_project() -> Project:
    """Return the samples' project: a task under each of three lines."""
    [project] = planned()
    return project


def edited(*edits: Edit, of: Project | None = None) -> Project:
    numbered = [(f"edits[{index}]", each) for index, each in enumerate(edits)]
    return edit(of or the_project(), numbered).state


def an_add(task_id: UUID, parent: UUID | None = None, **values: Any) -> Add:
    return Add(task_id, f"Task {task_id}", parent, **{"contract_line_id": TIME_LINE} | values)


def task_of(project: Project, task_id: UUID) -> Task:
    return next(task for task in project.tasks if task.task_id == task_id)


def codes_of(project: Project) -> dict[str, str]:
    return {task.name: task.wbs_code for task in project.tasks}


def waiting(task_id: UUID, *predecessors: UUID) -> Update:
    return Update(task_id, "Waiting", "", None, Timing(predecessor_task_ids=predecessors))


def test_edits_are_one_change_of_the_project() -> None:
    project = the_project()

    change = edit(project, [("", an_add(A)), ("", an_add(B, A))])

    assert change.state.version == project.version + 1
    assert change.events == (ProjectChanged(change.state),)


def test_a_task_goes_last_in_its_phase_and_parts_go_under_it() -> None:
    project = edited(an_add(A, phase="Delivery"), an_add(B, A), an_add(C, B), an_add(D, A))

    assert [task_of(project, each).wbs_code for each in (A, B, C, D)] == [
        "2.2",
        "2.2.1",
        "2.2.1.1",
        "2.2.2",
    ]
    assert [task.position for task in project.tasks] == list(range(1, 8))
    assert [task.wbs_code for task in project.tasks][:2] == ["1.1", "2.1"]


def test_a_part_takes_line_and_phase_of_the_whole() -> None:
    project = edited(an_add(A, phase="Delivery"), Add(B, "Part", A))

    part = task_of(project, B)
    assert (part.contract_line_id, part.phase, part.billable) == (TIME_LINE, "Delivery", True)


def test_a_task_under_a_fixed_fee_is_not_billed_by_time() -> None:
    project = edited(an_add(A, contract_line_id=FIXED_FEE_LINE))

    assert not task_of(project, A).billable


def test_a_moved_task_takes_its_parts_along() -> None:
    project = edited(an_add(A), an_add(B, A), an_add(C), Move(A, C, None))

    assert task_of(project, A).parent_task_id == C
    assert task_of(project, B).wbs_code.startswith(task_of(project, A).wbs_code)


def test_closing_closes_the_parts_and_reopening_only_the_task() -> None:
    closed = edited(an_add(A), an_add(B, A), Close(A))
    assert [task_of(closed, each).closed for each in (A, B)] == [True, True]

    reopened = edited(Reopen(A), of=closed)

    assert [task_of(reopened, each).closed for each in (A, B)] == [False, True]
    with pytest.raises(refusals.ParentClosed):
        edited(Reopen(B), of=closed)


@pytest.mark.parametrize(
    ("edits", "refusal", "field"),
    [
        ([an_add(A), an_add(A)], refusals.TaskExists, "edits[1].task_id"),
        ([an_add(A, B)], refusals.ParentUnknown, "edits[0].parent_task_id"),
        ([an_add(A, after_task_id=B)], refusals.ParentUnknown, "edits[0].after_task_id"),
        ([Add(A, "No line")], refusals.LineUnknown, "edits[0].contract_line_id"),
        (
            [an_add(A, contract_line_id=an_id("b999"))],
            refusals.LineUnknown,
            "edits[0].contract_line_id",
        ),
        (
            [an_add(A, contract_line_id=PASS_THROUGH_LINE, billable=True)],
            refusals.TaskNotBillable,
            "edits[0].billable",
        ),
        ([an_add(A), Close(A), an_add(B, A)], refusals.ParentClosed, "edits[2].parent_task_id"),
        ([an_add(A), Reopen(A)], refusals.TaskOpen, "edits[1].task_id"),
        ([an_add(A), Close(A), Close(A)], TaskClosed, "edits[2].task_id"),
        ([an_add(A), Close(A), Move(A, None, None)], TaskClosed, "edits[2].task_id"),
        (
            [an_add(A), an_add(B, A), Move(A, B, None)],
            refusals.TreeCycle,
            "edits[2].parent_task_id",
        ),
        ([an_add(A), Move(A, A, None)], refusals.TreeCycle, "edits[1].parent_task_id"),
        ([Close(A)], TaskNotFound, "edits[0].task_id"),
        ([an_add(A), waiting(A, B)], refusals.PredecessorUnknown, "edits[1].predecessor_task_ids"),
        ([an_add(A), waiting(A, A)], refusals.DependencyCycle, "edits[1].predecessor_task_ids"),
        (
            [an_add(A), an_add(B), waiting(A, B), waiting(B, A)],
            refusals.DependencyCycle,
            "edits[3].predecessor_task_ids",
        ),
    ],
)
def test_the_first_edit_that_cannot_be_made_is_named(
    edits: Sequence[Edit], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        edited(*edits)

    assert refused.value.field == field


def test_a_task_waits_neither_for_its_parts_nor_for_what_waits_for_them() -> None:
    project = edited(an_add(A), an_add(B, A), an_add(C))

    for edits in ([waiting(A, B)], [waiting(B, A)], [waiting(C, B), waiting(A, C)]):
        with pytest.raises(refusals.DependencyCycle):
            edited(*edits, of=project)
    assert task_of(edited(waiting(C, A), of=project), C).predecessor_task_ids == (A,)


def test_a_move_may_not_make_a_task_wait_for_itself() -> None:
    project = edited(an_add(A), an_add(B), waiting(B, A))

    with pytest.raises(refusals.DependencyCycle):
        edited(Move(A, B, None), of=project)


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "refusal"),
    [
        (date(2026, 10, 1), None, refusals.DatesReversed),
        (None, date(2026, 10, 1), refusals.DatesReversed),
        (date(2026, 10, 1), date(2026, 10, 1), refusals.DatesReversed),
        (date(2026, 8, 31), date(2026, 10, 1), refusals.OutsideProject),
        (date(2027, 8, 1), date(2027, 9, 2), refusals.OutsideProject),
    ],
)
def test_days_of_a_task_lie_within_the_project(
    starts_on: date | None, ends_on: date | None, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        edited(an_add(A, timing=Timing(starts_on, ends_on)))


def test_the_plan_of_a_closed_project_is_history() -> None:
    with pytest.raises(ProjectClosed):
        edited(an_add(A), of=replace(the_project(), status=ProjectStatus.CLOSED))


def test_a_line_that_ended_takes_no_new_tasks() -> None:
    project = the_project()
    lines = tuple(replace(line, ended_on=date(2026, 12, 1)) for line in project.lines)

    with pytest.raises(refusals.LineUnknown):
        edited(an_add(A), of=replace(project, lines=lines))


_IDS = [an_id(f"91{number:02}") for number in range(12)]
_ANY = st.sampled_from([None, *_IDS])
_EDITS = st.one_of(
    st.builds(an_add, st.sampled_from(_IDS), _ANY),
    st.builds(Move, st.sampled_from(_IDS), _ANY, _ANY),
    st.builds(Close, st.sampled_from(_IDS)),
    st.builds(Reopen, st.sampled_from(_IDS)),
    st.builds(waiting, st.sampled_from(_IDS), st.sampled_from(_IDS)),
)


@given(st.lists(_EDITS, max_size=40))
def test_whatever_is_edited_the_plan_stays_a_tree(edits: list[Edit]) -> None:
    project = the_project()
    for each in edits:
        try:
            project = edit(project, [("", each)]).state
        except Refusal:
            continue
    tasks = {task.task_id: task for task in project.tasks}
    codes = {task.task_id: task.wbs_code for task in project.tasks}

    assert len(set(codes.values())) == len(tasks) == len(project.tasks)
    assert [task.position for task in project.tasks] == list(range(1, len(tasks) + 1))
    for task in project.tasks:
        if task.parent_task_id is not None:
            whole = tasks[task.parent_task_id]
            assert task.wbs_code.rpartition(".")[0] == whole.wbs_code
            assert whole.position < task.position
            assert task.closed or not whole.closed
        _assert_waits_for_nothing_of_itself(task, tasks, set())


def _assert_waits_for_nothing_of_itself(
    task: Task, tasks: dict[UUID, Task], seen: set[UUID]
) -> None:
    assert task.task_id not in seen
    for before in task.predecessor_task_ids:
        _assert_waits_for_nothing_of_itself(tasks[before], tasks, seen | {task.task_id})
