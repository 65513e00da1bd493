"""Templates are versioned configuration that does not contradict itself."""

from decimal import Decimal

import pytest
from project_provisioning_builders import a_phase, a_template

from project_provisioning.domain.template import (
    BillingModel,
    TemplateMalformed,
    TemplateRole,
    publish,
)

ADVISORY = a_template("advisory", BillingModel.TIME_AND_MATERIALS, version=0)


def test_the_first_version_is_1() -> None:
    assert publish(ADVISORY, latest_version=0).version == 1


def test_each_publication_is_the_next_version() -> None:
    assert publish(ADVISORY, latest_version=7).version == 8


def test_a_task_key_is_used_once_over_all_phases() -> None:
    phases = (a_phase("One", ("work", "Work", True)), a_phase("Two", ("work", "More", True)))
    draft = a_template("advisory", BillingModel.TIME_AND_MATERIALS, phases=phases)

    with pytest.raises(TemplateMalformed, match="task key work"):
        publish(draft, latest_version=0)


def test_a_role_is_planned_once() -> None:
    role = TemplateRole("analyst", Decimal(10), None)
    draft = a_template("advisory", BillingModel.TIME_AND_MATERIALS, roles=(role, role))

    with pytest.raises(TemplateMalformed, match="role analyst"):
        publish(draft, latest_version=0)


@pytest.mark.parametrize(
    "role",
    [TemplateRole("analyst", None, None), TemplateRole("analyst", Decimal(8), Decimal(50))],
)
def test_a_role_has_hours_or_a_share(role: TemplateRole) -> None:
    draft = a_template("advisory", BillingModel.TIME_AND_MATERIALS, roles=(role,))

    with pytest.raises(TemplateMalformed, match="planned hours or a share"):
        publish(draft, latest_version=0)


@pytest.mark.parametrize(
    ("role", "hours"),
    [
        (TemplateRole("analyst", Decimal(12), None), Decimal(12)),
        (TemplateRole("analyst", None, Decimal("33.3333")), Decimal("133.33")),
    ],
)
def test_hours_are_fixed_or_a_share_of_what_was_sold(role: TemplateRole, hours: Decimal) -> None:
    assert role.hours_of(Decimal(400)) == hours
