"""The terms of every billing model, and how a contract is paid, survive the database unchanged."""

import hashlib
from typing import Any

import pytest
from customer_contract_world import World, a_request_id, customer_request, eur, service_request

from throughline.customer_contract.v1 import change_order_service_pb2 as change_order_pb
from throughline.customer_contract.v1 import contract_pb2, quote_pb2, rate_card_pb2
from throughline.customer_contract.v1 import contract_service_pb2 as pb
from throughline.customer_contract.v1 import customer_service_pb2 as customer_pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline_core.errors import Refusal
from throughline_testing.serving import a_caller

PERSON = "01980000-0000-7000-8000-000000000131"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def a_line(code: str, model: "quote_pb2.BillingModel.ValueType", **terms: Any) -> Any:
    values: dict[str, Any] = {
        "service_code": code,
        "description": code.title(),
        "billing_model": model,
        "quantity": "12",
        "unit_price": eur("1000.00"),
        "tax_category": "professional_services",
        "template_code": "advisory",
    }
    return quote_pb.QuoteLineTerms(**values | terms)


def every_model(world: World) -> list[quote_pb.QuoteLineTerms]:
    """Return a line of each billing model that says everything it can."""
    overtime = [quote_pb2.ActivityMultiplier(activity="overtime", factor="1.5")]
    rates = [
        quote_pb2.LineRate(role="consultant", hourly_rate=eur("140.125"), planned_hours="8"),
        quote_pb2.LineRate(
            role="consultant", hourly_rate=eur("150.00"), planned_hours="0", person_id=PERSON
        ),
    ]
    return [
        a_line(
            "TM",
            quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS,
            rates=rates,
            multipliers=overtime,
            not_to_exceed=eur("9000.00"),
            region="emea",
            delivering_legal_entity_id=world.entity.legal_entity_id,
            dimensions=quote_pb2.AccountingDimensions(department="D-210", practice="cloud"),
            cost_budget=eur("7000.00"),
        ),
        a_line(
            "AMOUNTS",
            quote_pb2.BILLING_MODEL_FIXED_FEE,
            milestones=[
                quote_pb2.MilestonePlan(key="a", name="A", amount=eur("3333.33")),
                quote_pb2.MilestonePlan(key="b", name="B", amount=eur("8666.67")),
            ],
        ),
        a_line(
            "PROGRESS",
            quote_pb2.BILLING_MODEL_FIXED_FEE,
            fixed_fee_billing=quote_pb2.FIXED_FEE_BILLING_PERCENT_COMPLETE,
        ),
        a_line(
            "QUARTERLY",
            quote_pb2.BILLING_MODEL_RECURRING,
            anchor_day=31,
            period_months=3,
            in_advance=True,
            proration=quote_pb2.PRORATION_THIRTY_DAYS,
        ),
        a_line(
            "RETAINER",
            quote_pb2.BILLING_MODEL_RETAINER,
            rates=rates[:1],
            multipliers=overtime,
            retainer=quote_pb2.RetainerTerms(
                period_months=1,
                hours="40.5",
                roll_over=quote_pb2.RETAINER_ROLL_OVER_CARRY,
                roll_over_limit_percent="50",
                expires_after_periods=3,
                overage=quote_pb2.RETAINER_OVERAGE_BILL,
                overage_rate=eur("165.125"),
            ),
        ),
        a_line(
            "USAGE",
            quote_pb2.BILLING_MODEL_USAGE,
            usage=quote_pb2.UsageTerms(
                meter="managed_devices",
                period_months=1,
                aggregation=quote_pb2.USAGE_AGGREGATION_MAX,
                included_quantity="50",
                tiers=[
                    quote_pb2.UsageTier(up_to="200", unit_price=eur("9.50")),
                    quote_pb2.UsageTier(unit_price=eur("7.255555")),
                ],
            ),
        ),
        a_line(
            "EXPENSES",
            quote_pb2.BILLING_MODEL_PASS_THROUGH,
            markup_percent="5",
            expense_policy=quote_pb2.ExpensePolicy(
                rules=[
                    quote_pb2.ExpenseRule(
                        category="travel", daily_cap=eur("250.00"), markup_percent="0"
                    ),
                    quote_pb2.ExpenseRule(category="meals"),
                ],
                receipt_from=eur("25.00"),
            ),
        ),
    ]


async def test_a_line_of_every_billing_model_reaches_the_contract_as_it_was_offered(
    world: World,
) -> None:
    offered = every_model(world)
    contract = await world.a_draft(lines=offered)

    assert contract == await world.contract(contract.contract_id)
    for line, asked in zip(contract.lines, offered, strict=True):
        for field, value in asked.ListFields():
            assert getattr(line.terms, field.name) == value, field.name
    methods = [quote_pb2.RevenueMethod.Name(line.terms.revenue_method) for line in contract.lines]
    assert [name.removeprefix("REVENUE_METHOD_") for name in methods] == [
        "AS_DELIVERED",
        "ON_ACCEPTANCE",
        "PERCENT_COMPLETE",
        "RATABLE",
        "AS_DELIVERED",
        "AS_DELIVERED",
        "AS_DELIVERED",
    ]


async def test_a_line_of_every_billing_model_is_added_by_a_change_order_as_it_was_agreed(
    world: World,
) -> None:
    active = await world.an_active()
    offered = every_model(world)
    lines = [
        change_order_pb.AddedLine(key=f"line_{index}", terms=terms)
        for index, terms in enumerate(offered)
    ]
    created = await world.change_orders().CreateChangeOrder(
        world.change_request(active, "2026-10-01", added_lines=lines)
    )
    stored = await world.change_orders().GetChangeOrder(
        change_order_pb.GetChangeOrderRequest(change_order_id=created.change_order.change_order_id)
    )
    assert stored.change_order == created.change_order
    again = await world.change_orders().UpdateChangeOrder(
        change_order_pb.UpdateChangeOrderRequest(
            request_id=a_request_id(),
            change_order_id=stored.change_order.change_order_id,
            reason="read and sent back",
            effective_on="2026-10-01",
            content=stored.change_order.content,
        )
    )
    assert again.change_order.content == stored.change_order.content
    for added, asked in zip(stored.change_order.content.added_lines, offered, strict=True):
        for field, value in asked.ListFields():
            assert getattr(added.line, field.name) == value, field.name


def edit_of(contract: contract_pb2.Contract, **changes: Any) -> pb.UpdateDraftContractRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "contract_id": contract.contract_id,
        "bill_to_customer_id": contract.bill_to_customer_id,
        "invoice_grouping": contract_pb2.INVOICE_GROUPING_CONTRACT,
        "line_detail": contract_pb2.LINE_DETAIL_ENTRY,
        "time_rounding_minutes": 6,
        "time_rounding_mode": contract_pb2.TIME_ROUNDING_MODE_NEAREST,
    }
    return pb.UpdateDraftContractRequest(**values | changes)


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def test_how_a_contract_is_paid_is_agreed_on_the_draft_and_signed(world: World) -> None:
    draft = await world.a_draft()
    payer = (
        await world.customers().CreateCustomer(customer_request(name="Payer", tax_id=None))
    ).customer
    third = (
        await world.customers().CreateCustomer(customer_request(name="Fund", tax_id=None))
    ).customer
    orders = [
        contract_pb2.PurchaseOrder(
            number="PO-1",
            valid_from="2026-09-01",
            valid_to="2027-01-01",
            amount=eur("50000.00"),
            contract_line_ids=[draft.lines[1].contract_line_id],
        ),
        contract_pb2.PurchaseOrder(number="PO-2", valid_from="2027-01-01"),
    ]
    payers = [
        contract_pb2.PayerShare(
            customer_id=third.customer_id, share_percent="0", amount=eur("2500.00")
        ),
        contract_pb2.PayerShare(
            customer_id=draft.customer_id, share_percent="66.6667", rounding_payer=True
        ),
        contract_pb2.PayerShare(
            customer_id=payer.customer_id,
            share_percent="33.3333",
            not_to_exceed=eur("10000.00"),
            purchase_order_number="P-9",
        ),
    ]
    edit = edit_of(
        draft,
        purchase_orders=orders,
        payers=payers,
        holdback=contract_pb2.Holdback(percent="7.5", due_on="2027-10-01"),
        rerating_policy=contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL,
    )
    edited = (await world.contracts().UpdateDraftContract(edit)).contract
    await world.contracts().SignContract(world.signature_of(draft.contract_id))

    signed = await world.contract(draft.contract_id)
    assert list(signed.purchase_orders) == orders == list(edited.purchase_orders)
    assert list(signed.payers) == payers
    assert (signed.holdback.percent, signed.holdback.due_on) == ("7.5", "2027-10-01")
    assert signed.rerating_policy == contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    assert signed.terms_effective_on == "2026-08-24"


async def test_nobody_who_is_no_customer_any_more_is_named_as_payer(world: World) -> None:
    draft = await world.a_draft()
    payer = (
        await world.customers().CreateCustomer(customer_request(name="Payer", tax_id=None))
    ).customer
    await world.customers().EndCustomer(
        customer_pb.EndCustomerRequest(
            request_id=a_request_id(),
            customer_id=payer.customer_id,
            end_on="2026-09-01",
            reason="merged",
        )
    )
    share = contract_pb2.PayerShare(
        customer_id=payer.customer_id, share_percent="100", rounding_payer=True
    )
    for edit in (
        edit_of(draft, payers=[share]),
        edit_of(draft, bill_to_customer_id=payer.customer_id),
    ):
        assert await refusal_of(world.contracts().UpdateDraftContract(edit)) == "customer.ended"
    assert await world.contract(draft.contract_id) == draft


async def test_a_document_said_to_be_attached_has_to_be(world: World) -> None:
    draft = await world.a_draft()
    request = world.signature_of(draft.contract_id)
    request.document_attached = True
    request.document_sha256 = hashlib.sha256(PDF).hexdigest()
    sign = world.contracts().SignContract(request)
    assert await refusal_of(sign) == "contract.document_not_attached"
    assert await world.contract(draft.contract_id) == draft

    await world.quotes().AttachQuoteDocument(
        quote_pb.AttachQuoteDocumentRequest(
            request_id=a_request_id(),
            quote_id=draft.quote_id,
            quote_version=1,
            file_name="sow.pdf",
            content=PDF,
        )
    )
    signed = (await world.contracts().SignContract(request)).contract
    assert signed.signed_document_sha256 == request.document_sha256


async def test_where_an_amount_belongs_comes_from_the_catalogue_unless_the_line_says_it(
    world: World,
) -> None:
    cloud = quote_pb2.AccountingDimensions(department="D-210", practice="cloud")
    data = quote_pb2.AccountingDimensions(department="D-300", practice="data")
    hours = quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS
    await world.catalogue().PutService(
        service_request("CLOUD-TM", hours, "advisory", dimensions=cloud)
    )

    draft = await world.a_draft(
        lines=[a_line("CLOUD-TM", hours), a_line("CLOUD-TM", hours, dimensions=data)]
    )

    assert [line.terms.dimensions for line in draft.lines] == [cloud, data]


async def test_an_auditor_reads_a_contract_without_what_the_firm_plans_to_spend(
    world: World,
) -> None:
    hours = quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS
    draft = await world.a_draft(lines=[a_line("ANY", hours, cost_budget=eur("7000.00"))])
    request = pb.GetContractRequest(contract_id=draft.contract_id)

    async def budget_for(*roles: str, scopes: tuple[str, ...] = ()) -> str | None:
        caller = a_caller(*roles, scopes=scopes)
        contracts = world.running.stub(ContractServiceStub, caller=caller)
        terms = (await contracts.GetContract(request)).contract.lines[0].terms
        return terms.cost_budget.amount if terms.HasField("cost_budget") else None

    assert await budget_for("pmo") == "7000.00"
    assert await budget_for("auditor") is None
    assert await budget_for("integration") is None
    assert await budget_for("auditor", scopes=("contracts.read", "costs.read")) == "7000.00"


async def test_a_contract_does_not_name_a_transfer_card(world: World) -> None:
    draft = await world.a_draft()
    card = (
        await world.publish_card(
            world.card_request(purpose=rate_card_pb2.RATE_CARD_PURPOSE_TRANSFER)
        )
    ).rate_card
    with pytest.raises(Refusal) as refused:
        await world.contracts().UpdateDraftContract(edit_of(draft, rate_card_id=card.rate_card_id))
    assert refused.value.stable_code == "rate_card.not_for_billing"
