"""Templates: proposed, decided by a second person, and tried before they are used."""

from typing import Any

import pytest
from project_provisioning_builders import US01, an_id
from project_provisioning_world import (
    ADA_SIGNED_IN,
    PMO,
    PROPOSER,
    Deals,
    ErpAccounts,
    Readiness,
    World,
    a_key,
    contract_activated,
    template_request,
)

from throughline.connectors.v1 import erp_account_service_pb2 as erp_pb
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import QuoteApproved
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.v1 import project_service_pb2
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline_core.errors import (
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_runtime.identity import Caller
from throughline_testing.samples import sample


async def propose(world: World, code: str = "advisory", **values: Any) -> pb.Template:
    return (await world.templates(PROPOSER).PutTemplate(template_request(code, **values))).template


async def approve(world: World, template: pb.Template, caller: Caller = PMO) -> pb.Template:
    request = pb.ApproveTemplateRequest(
        request_id=a_key(), code=template.code, version=template.version, comment="fine"
    )
    return (await world.templates(caller).ApproveTemplate(request)).template


async def reject(world: World, template: pb.Template, caller: Caller = PMO) -> pb.Template:
    request = pb.RejectTemplateRequest(
        request_id=a_key(), code=template.code, version=template.version, reason="too fine"
    )
    return (await world.templates(caller).RejectTemplate(request)).template


async def withdraw(world: World, template: pb.Template, caller: Caller = PROPOSER) -> pb.Template:
    request = pb.WithdrawTemplateRequest(
        request_id=a_key(), code=template.code, version=template.version
    )
    return (await world.templates(caller).WithdrawTemplate(request)).template


async def the_published(world: World, code: str = "advisory") -> pb.Template:
    return (await world.templates().GetTemplate(pb.GetTemplateRequest(code=code))).template


async def test_a_proposal_is_used_once_a_second_person_approved_it(world: World) -> None:
    proposed = await propose(world)
    assert proposed.status == pb.TEMPLATE_STATUS_PROPOSED
    with pytest.raises(NotFound):
        await the_published(world)
    with pytest.raises(PermissionDenied):
        await approve(world, proposed, PROPOSER)

    published = await approve(world, proposed)

    assert (published.published_by, published.comment) == ("user:paula.pmo", "fine")
    assert await the_published(world) == published
    with pytest.raises(IllegalTransition):
        await reject(world, published)


async def test_what_was_rejected_or_withdrawn_leaves_the_published_version(world: World) -> None:
    first = await approve(world, await propose(world))
    rejected = await reject(world, await propose(world))
    withdrawn = await withdraw(world, await propose(world))

    assert (rejected.version, rejected.comment) == (2, "too fine")
    assert withdrawn.status == pb.TEMPLATE_STATUS_WITHDRAWN
    assert await the_published(world) == first
    with pytest.raises(PermissionDenied):
        await withdraw(world, await propose(world), PMO)


async def test_an_older_proposal_is_not_published_over_a_later_version(world: World) -> None:
    older, later = await propose(world), await propose(world)
    await approve(world, later)

    with pytest.raises(FailedPrecondition) as refused:
        await approve(world, older)
    assert refused.value.stable_code == "template.superseded"


async def test_versions_are_listed_latest_first_with_their_decision(world: World) -> None:
    await approve(world, await propose(world))
    await reject(world, await propose(world))
    await propose(world)
    await propose(world, "discovery")
    request = pb.ListTemplateVersionsRequest(code="advisory", page_size=2)

    first = await world.templates().ListTemplateVersions(request)
    request.page_token = first.next_page_token
    second = await world.templates().ListTemplateVersions(request)

    assert [(each.version, each.status) for each in (*first.templates, *second.templates)] == [
        (3, pb.TEMPLATE_STATUS_PROPOSED),
        (2, pb.TEMPLATE_STATUS_REJECTED),
        (1, pb.TEMPLATE_STATUS_PUBLISHED),
    ]
    waiting = pb.ListTemplateVersionsRequest(status=pb.TEMPLATE_STATUS_PROPOSED)
    assert len((await world.templates().ListTemplateVersions(waiting)).templates) == 2


async def test_consultants_neither_propose_nor_decide(world: World) -> None:
    proposed = await propose(world)

    for act in (approve, reject, withdraw):
        with pytest.raises(PermissionDenied):
            await act(world, proposed, ADA_SIGNED_IN)


async def test_a_formula_that_cannot_be_read_names_field_and_position(world: World) -> None:
    budget = pb.TemplateBudget(kind=project_service_pb2.BUDGET_KIND_COST, formula="net_total *")
    variant = pb.TemplateVariant(region="emea", budgets=[budget])

    with pytest.raises(InvalidArgument) as refused:
        await propose(world, variants=[variant])

    assert refused.value.stable_code == "template.formula_malformed"
    assert refused.value.field == "variants[0].budgets[0].formula"
    assert "position 12" in refused.value.message


async def test_everything_a_template_says_comes_back(world: World) -> None:
    leaf = pb.TemplateTask(
        key="leaf", name="Leaf", hours_formula="1.5", starts_after_days_formula="2"
    )
    task = pb.TemplateTask(key="top", name="Top", children=[leaf], lasts_days_formula="term_days")
    plan: dict[str, Any] = {
        "phases": [pb.TemplatePhase(name="Work", tasks=[task])],
        "roles": [pb.TemplateRole(role="analyst", hours_formula="quantity / 4")],
        "milestones": [
            pb.TemplateMilestone(
                key="done", name="Done", share_percent="100", due_after_days_formula="30"
            )
        ],
        "budgets": [
            pb.TemplateBudget(kind=project_service_pb2.BUDGET_KIND_HOURS, formula="quantity")
        ],
    }
    variant = pb.TemplateVariant(
        region="emea", billing_model=quote_pb2.BILLING_MODEL_FIXED_FEE, **plan
    )

    published = await approve(world, await propose(world, variants=[variant], **plan))

    got = await the_published(world)
    assert got == published
    assert list(got.phases) == plan["phases"]
    assert list(got.roles) == plan["roles"]
    assert list(got.milestones) == plan["milestones"]
    assert list(got.budgets) == plan["budgets"]
    assert list(got.variants) == [variant]


async def preview(world: World, **values: str) -> pb.PreviewDeliveryResponse:
    return await world.templates().PreviewDelivery(pb.PreviewDeliveryRequest(**values))


async def test_a_dry_run_shows_what_a_contract_would_become_and_changes_nothing(
    world: World, deals: Deals, erp_accounts: ErpAccounts
) -> None:
    await world.put_templates()
    event = contract_activated()
    event.contract.lines[1].terms.delivering_legal_entity_id = str(US01)
    deals.contract = event.contract

    shown = await preview(world, contract_id=event.contract.contract_id)

    assert shown.ready
    assert [len(each.project.tasks) for each in shown.projects] == [2, 2]
    assert shown.projects[1].project.legal_entity_id == str(US01)
    assert "advisory@1" in shown.templates
    assert len(erp_accounts.asked) == 1
    assert await world.scalar("SELECT count(*) FROM project") == 0

    await world.announce(event)
    await world.advance()
    made = await world.projects().ListProjects(project_service_pb2.ListProjectsRequest())
    ids = {project.project_id for project in made.projects}
    assert ids == {each.project.project_id for each in shown.projects}


async def test_a_dry_run_of_a_quote_names_the_checks_that_would_fail(
    world: World, deals: Deals, erp_accounts: ErpAccounts
) -> None:
    await world.put_templates("discovery", "advisory", "managed_service")
    quote = sample(QuoteApproved).quote
    deals.quote = quote
    erp_accounts.state = erp_pb.ERP_ACCOUNT_STATE_MISSING

    shown = await preview(world, quote_id=quote.quote_id)

    failed = [(check.code, check.owner) for check in shown.checks if not check.passed]
    assert failed == [("template.missing", "pmo"), ("erp.account_missing", "integration")]
    assert not shown.projects
    assert not shown.ready

    await world.put_templates("pass_through")
    shown = await preview(world, quote_id=quote.quote_id)
    [planned] = shown.projects
    assert planned.project.budget.amount == quote.net_total.amount
    assert [each.key for each in planned.project.milestones] == ["kickoff", "target_architecture"]


async def test_a_dry_run_is_of_one_deal(world: World, readiness: Readiness) -> None:
    for values in ({}, {"quote_id": str(an_id("a1")), "contract_id": str(an_id("b1"))}):
        with pytest.raises(InvalidArgument) as refused:
            await preview(world, **values)
        assert refused.value.stable_code == "template.dry_run_of_one"
    with pytest.raises(NotFound):
        await preview(world, quote_id=str(an_id("a9")))
    assert readiness.asked == []
