"""Data-quality rules over gRPC: two people, what they stop, and what they find."""

from typing import TYPE_CHECKING, Any

import pytest
from customer_contract_world import World, a_request_id, customer_request

from throughline.common.v1.address_pb2 import PostalAddress
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline.customer_contract.v1 import customer_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as customer_pb
from throughline.customer_contract.v1 import data_quality_service_pb2 as pb
from throughline.customer_contract.v1.data_quality_service_pb2_grpc import DataQualityServiceStub
from throughline_core.errors import Refusal
from throughline_testing.serving import a_caller

if TYPE_CHECKING:  # The class exists in the stubs only.
    from throughline.customer_contract.v1.data_quality_service_pb2_grpc import (
        DataQualityServiceAsyncStub,
    )

CODE = "billing-contact"
PARIS = PostalAddress(lines=["1 rue de Rivoli"], city="Paris", postal_code="75001", country="FR")


def rules(world: World, subject: str = "paula", **caller: Any) -> "DataQualityServiceAsyncStub":
    return world.running.stub(
        DataQualityServiceStub, caller=a_caller("sales_operations", subject=subject, **caller)
    )


def put_request(**changes: Any) -> pb.PutDataQualityRuleRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "code": CODE,
        "object": pb.DATA_QUALITY_OBJECT_CUSTOMER,
        "field": "contacts.billing",
        "condition": pb.DATA_QUALITY_CONDITION_REQUIRED,
        "severity": pb.DATA_QUALITY_SEVERITY_STOP,
        "owner": "sales_operations",
        "advice": "record who approves invoices",
    }
    return pb.PutDataQualityRuleRequest(**values | changes)


async def put(world: World, **changes: Any) -> pb.DataQualityRule:
    return (await rules(world).PutDataQualityRule(put_request(**changes))).rule


async def activate(world: World, rule: pb.DataQualityRule, by: str = "ines") -> pb.DataQualityRule:
    request = pb.ActivateDataQualityRuleRequest(
        request_id=a_request_id(), code=rule.code, rule_version=rule.rule_version
    )
    return (await rules(world, by).ActivateDataQualityRule(request)).rule


async def retire(world: World, rule: pb.DataQualityRule) -> pb.DataQualityRule:
    request = pb.RetireDataQualityRuleRequest(
        request_id=a_request_id(),
        code=rule.code,
        rule_version=rule.rule_version,
        reason="no longer",
    )
    return (await rules(world).RetireDataQualityRule(request)).rule


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def mend(world: World) -> None:
    customer = world.customer
    await world.customers().UpdateCustomer(
        customer_pb.UpdateCustomerRequest(
            request_id=a_request_id(),
            customer_id=customer.customer_id,
            name=customer.name,
            address=customer.address,
            tax_id=customer.tax_id,
            payment_terms_days=30,
            currency="EUR",
            details=customer_pb.CustomerDetails(
                contacts=[customer_pb2.Contact(name="Nina", purpose="billing", email="n@x.example")]
            ),
        )
    )


async def test_a_rule_holds_once_a_second_person_activates_it_and_versions_follow(
    world: World,
) -> None:
    first = await put(world)
    assert first.status == pb.DATA_QUALITY_RULE_STATUS_PROPOSED
    assert await refusal_of(put(world)) == "data_quality.proposal_open"
    assert await refusal_of(activate(world, first, by="paula")) == "data_quality.own_proposal"
    await activate(world, first)
    second = await put(world, severity=pb.DATA_QUALITY_SEVERITY_WARN)
    await activate(world, second)
    assert await refusal_of(activate(world, second)) == "data_quality.not_proposed"
    await retire(world, second)
    assert await refusal_of(retire(world, second)) == "data_quality.rule_retired"
    unknown = pb.DataQualityRule(code="none", rule_version=1)
    assert await refusal_of(activate(world, unknown)) == "data_quality.rule_not_found"

    listed, token = [], ""
    while True:
        page = await rules(world).ListDataQualityRules(
            pb.ListDataQualityRulesRequest(page_size=1, page_token=token)
        )
        listed += [(rule.rule_version, rule.status) for rule in page.rules]
        token = page.next_page_token
        if not token:
            break
    retired = pb.DATA_QUALITY_RULE_STATUS_RETIRED
    assert listed == [(1, retired), (2, retired)]


async def test_a_quote_is_not_approved_while_a_rule_stops_it_and_goes_through_when_mended(
    world: World,
) -> None:
    await activate(world, await put(world))
    request = world.import_request()

    assert await refusal_of(world.imports().ImportQuote(request)) == "data_quality.rule_broken"
    # A refused import leaves nothing, so the same request is sent again.
    assert await world.count("quote") == 0
    await mend(world)
    reply = await world.imports().ImportQuote(request)
    assert reply.contract_id


async def test_a_rule_put_after_the_deal_stops_the_work_and_tells_its_owner(world: World) -> None:
    draft = await world.a_draft()
    await activate(world, await put(world, owner="finance"))

    async def failing() -> list[tuple[str, str]]:
        reply = await world.contracts().CheckReadiness(
            contract_pb.CheckReadinessRequest(contract_id=draft.contract_id)
        )
        return [
            (check.code, check.advice)
            for check in reply.checks
            if not check.passed and check.code.startswith("data_quality.")
        ]

    assert await failing() == [
        ("data_quality.finance", "billing-contact: record who approves invoices")
    ]
    await mend(world)
    assert await failing() == []


async def test_customers_are_checked_in_pages_by_the_rules_for_all_entities(world: World) -> None:
    for name in ("A", "B"):
        await world.customers().CreateCustomer(
            customer_request(name=name, tax_id=None, address=PARIS)
        )
    await activate(world, await put(world))
    await activate(world, await put(world, code="french", country="FR", field="tax_id"))
    await activate(
        world, await put(world, code="ours", legal_entity_id=world.entity.legal_entity_id)
    )
    await mend(world)

    found, checked, token = [], 0, ""
    while True:
        page = await rules(world).CheckCustomers(
            pb.CheckCustomersRequest(page_size=1, page_token=token)
        )
        found += [(finding.number, finding.code) for finding in page.findings]
        checked += page.checked
        token = page.next_page_token
        if not token:
            break

    assert checked == 3
    assert found == [
        ("C-000002", "billing-contact"),
        ("C-000002", "french"),
        ("C-000003", "billing-contact"),
        ("C-000003", "french"),
    ]
    german = await rules(world).CheckCustomers(pb.CheckCustomersRequest(country="DE"))
    assert (german.checked, list(german.findings)) == (1, [])


async def test_who_is_limited_to_a_company_sets_no_rule_for_the_others(world: World) -> None:
    limited = rules(world, entities=[])
    assert await refusal_of(limited.PutDataQualityRule(put_request())) == "caller.entity_forbidden"
    own = put_request(code="ours", legal_entity_id=world.entity.legal_entity_id)
    assert await refusal_of(limited.PutDataQualityRule(own)) == "caller.entity_forbidden"
    await put(world, code="ours", legal_entity_id=world.entity.legal_entity_id)
    page = await limited.ListDataQualityRules(pb.ListDataQualityRulesRequest())
    assert list(page.rules) == []
