"""Customers over gRPC, on the real database."""

import asyncio
from typing import Any

import pytest
from customer_contract_world import BERLIN, CONNECTOR, World, a_request_id, customer_request
from sqlalchemy import text

from throughline.common.v1.source_pb2 import SourceRef
from throughline.customer_contract.v1 import customer_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceStub
from throughline_core.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound, Refusal
from throughline_runtime.identity import Caller

UNKNOWN = "01980000-0000-7000-8000-00000000dead"
ACCOUNT = SourceRef(system="salesforce", object_type="Account", object_id="001")
FRENCH = "FR40303265045"


def update_of(customer: customer_pb2.Customer, **changes: Any) -> pb.UpdateCustomerRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "customer_id": customer.customer_id,
        "name": customer.name,
        "address": customer.address,
        "tax_id": customer.tax_id or None,
        "payment_terms_days": customer.payment_terms_days,
        "currency": customer.currency,
    }
    return pb.UpdateCustomerRequest(**values | changes)


async def created(world: World, **changes: Any) -> customer_pb2.Customer:
    values: dict[str, Any] = {"tax_id": None}
    reply = await world.customers().CreateCustomer(customer_request(**values | changes))
    return reply.customer


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def test_customers_are_numbered_and_judged(world: World) -> None:
    second = await created(world, name="Second", tax_id="DE136695970")

    assert (world.customer.number, second.number) == ("C-000001", "C-000002")
    assert world.customer.tax_status == customer_pb2.TAX_STATUS_VALID
    assert second.tax_status == customer_pb2.TAX_STATUS_INVALID
    read = await world.customers().GetCustomer(
        pb.GetCustomerRequest(customer_id=second.customer_id)
    )
    assert read.customer == second


async def test_a_request_sent_again_gets_the_first_reply(world: World) -> None:
    request = customer_request(name="Once", tax_id=FRENCH)
    first, again = [await world.customers().CreateCustomer(request) for _ in range(2)]

    assert first == again
    assert await world.count("customer") == 2
    assert await refusal_of(
        world.customers().CreateCustomer(
            customer_request(name="Twice", request_id=request.request_id)
        )
    ) == ("request.idempotency_key_reused")


async def test_a_registration_entered_by_hand_belongs_to_one_customer(world: World) -> None:
    twin = customer_request(name="Twin", tax_id="de 284 917 655")
    other = await created(world, name="Other")

    assert await refusal_of(world.customers().CreateCustomer(twin)) == "customer.tax_id_exists"
    assert (
        await refusal_of(
            world.customers().UpdateCustomer(update_of(other, tax_id=world.customer.tax_id))
        )
        == "customer.tax_id_exists"
    )


async def test_of_two_customers_with_one_registration_at_once_one_is_recorded(
    world: World,
) -> None:
    requests = [customer_request(name=f"Racer {n}", tax_id=FRENCH) for n in range(6)]
    outcomes = await asyncio.gather(
        *(world.customers().CreateCustomer(request) for request in requests),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, pb.CreateCustomerResponse) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 5


async def test_a_source_brings_in_one_customer_however_often(world: World) -> None:
    connector = world.running.stub(CustomerServiceStub, caller=CONNECTOR)

    async def bring(**changes: Any) -> customer_pb2.Customer:
        request = customer_request(source=ACCOUNT, **changes)
        return (await connector.CreateCustomer(request)).customer

    first = await bring(name="Imported")
    same = await bring(name="Imported")
    renamed = await bring(name="Renamed", tax_id=None)

    assert same == first
    assert (renamed.customer_id, renamed.version, renamed.name) == (first.customer_id, 2, "Renamed")
    assert renamed.tax_status == customer_pb2.TAX_STATUS_MISSING
    assert (await world.events()).count("customer.recorded.v1") == 3


async def test_of_two_imports_of_one_source_at_once_both_end_with_one_customer(
    world: World,
) -> None:
    connector = world.running.stub(CustomerServiceStub, caller=CONNECTOR)
    requests = [customer_request(source=ACCOUNT, tax_id=None) for _ in range(6)]
    outcomes = await asyncio.gather(
        *(connector.CreateCustomer(request) for request in requests), return_exceptions=True
    )
    stale = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(outcome, Aborted) for outcome in stale)
    assert len(stale) < len(outcomes)
    assert await world.count("customer") == 2


async def test_a_corrected_registration_is_judged_anew(world: World) -> None:
    wrong = await created(world, tax_id="DE136695970")
    reply = await world.customers().UpdateCustomer(update_of(wrong, tax_id=FRENCH))
    assert reply.customer.tax_status == customer_pb2.TAX_STATUS_INVALID
    reply = await world.customers().UpdateCustomer(update_of(wrong, tax_id="DE136695976"))
    assert reply.customer.tax_status == customer_pb2.TAX_STATUS_VALID
    assert reply.customer.version == 3


async def test_a_customer_may_belong_to_another_but_never_to_itself(world: World) -> None:
    top = world.customer
    middle = await created(world, name="Middle", parent_customer_id=top.customer_id)
    leaf = await created(world, name="Leaf", parent_customer_id=middle.customer_id)

    def move(below: str) -> Any:
        return world.customers().UpdateCustomer(update_of(top, parent_customer_id=below))

    assert await refusal_of(move(leaf.customer_id)) == "customer.parent_cycle"
    assert await refusal_of(move(top.customer_id)) == "customer.parent_cycle"
    assert await refusal_of(move(UNKNOWN)) == "customer.parent_not_found"
    assert (
        await refusal_of(
            world.customers().CreateCustomer(
                customer_request(tax_id=None, parent_customer_id=UNKNOWN)
            )
        )
        == "customer.parent_not_found"
    )


async def test_a_credit_hold_keeps_its_history(world: World) -> None:
    customers = world.customers(subject="fritz")
    customer_id = world.customer.customer_id
    place = pb.PlaceCreditHoldRequest(
        request_id="hold", customer_id=customer_id, reason="two invoices are overdue"
    )

    held = (await customers.PlaceCreditHold(place)).customer
    assert (held.credit_hold, held.credit_hold_reason) == (True, "two invoices are overdue")
    place.request_id = "hold again"
    with pytest.raises(FailedPrecondition):
        await customers.PlaceCreditHold(place)
    free = (
        await customers.ReleaseCreditHold(
            pb.ReleaseCreditHoldRequest(
                request_id="release", customer_id=customer_id, reason="both are paid"
            )
        )
    ).customer

    assert (free.credit_hold, free.credit_hold_reason, free.version) == (False, "", 3)
    async with world.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT placed, reason, moved_by FROM credit_hold_move ORDER BY version")
        )
        assert [tuple(row) for row in rows] == [
            (True, "two invoices are overdue", "fritz"),
            (False, "both are paid", "fritz"),
        ]


async def test_the_list_is_filtered_and_paged(world: World) -> None:
    for name in ("Alpha GmbH", "ALPHA AG", "100% Beta", "1000 Beta"):
        await created(world, name=name, address=BERLIN)

    async def listed(**filters: Any) -> list[str]:
        names, token = [], ""
        while True:
            reply = await world.customers().ListCustomers(
                pb.ListCustomersRequest(page_size=2, page_token=token, **filters)
            )
            assert len(reply.customers) <= 2
            names += [customer.name for customer in reply.customers]
            token = reply.next_page_token
            if not token:
                return names

    assert len(await listed()) == 5
    assert sorted(await listed(name_prefix="alpha")) == ["ALPHA AG", "Alpha GmbH"]
    assert await listed(name_prefix="100%") == ["100% Beta"]
    assert await listed(tax_status=customer_pb2.TAX_STATUS_VALID) == [world.customer.name]
    assert await listed(country="US") == []


async def test_an_unknown_customer_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.customers().GetCustomer(pb.GetCustomerRequest(customer_id=UNKNOWN))


def a_record(name: str = "Imported", version: str = "", **changes: Any) -> pb.CreateCustomerRequest:
    source = SourceRef(
        system="salesforce", object_type="Account", object_id="001", object_version=version
    )
    return customer_request(name=name, tax_id=None, source=source, **changes)


async def brought(
    world: World, request: pb.CreateCustomerRequest, system: str | None = "salesforce"
) -> tuple[customer_pb2.Customer, str]:
    """Bring a record in as connectors do; return what stands, and what it came to."""
    caller = Caller.service("connectors", system=system)
    reply = await world.running.stub(CustomerServiceStub, caller=caller).CreateCustomer(request)
    outcome = pb.CustomerOutcome.Name(reply.outcome).removeprefix("CUSTOMER_OUTCOME_")
    return reply.customer, outcome.lower()


async def test_content_that_did_not_change_there_never_undoes_a_correction_here(
    world: World,
) -> None:
    first, _ = await brought(world, a_record(version="2026-01-01T00:00:00Z"))
    corrected = update_of(first, name="Imported AG", payment_terms_days=14)
    here = (await world.customers().UpdateCustomer(corrected)).customer
    assert (first.changed_in, here.changed_in) == ("salesforce", "")

    # Under another request id: what was remembered of the first one is long gone.
    again, outcome = await brought(world, a_record(version="2026-03-01T00:00:00Z"))
    assert (again, outcome) == (here, "unchanged")
    renamed, outcome = await brought(world, a_record("Renamed", version="2026-03-02T00:00:00Z"))
    assert (renamed.name, renamed.changed_in, outcome) == ("Renamed", "salesforce", "updated")


async def test_a_record_older_than_what_is_stored_changes_nothing_and_says_so(world: World) -> None:
    newest, _ = await brought(world, a_record("Newest", version="3"))

    late, outcome = await brought(world, a_record("Older", version="2"))
    assert (late, outcome) == (newest, "stale")
    same, outcome = await brought(world, a_record("Newest", version="3"))
    assert (same, outcome) == (newest, "unchanged")
    assert (await world.events()).count("customer.recorded.v1") == 2


async def test_a_record_shuffled_and_repeated_ends_with_the_newest(world: World) -> None:
    versions = ["2", "5", "1", "4", "3", "5", "2"]
    outcomes = [
        (await brought(world, a_record(f"Name {version}", version=version)))[1]
        for version in versions
    ]

    assert outcomes == ["created", "updated", "stale", "stale", "stale", "unchanged", "stale"]
    stands, _ = await brought(world, a_record("Name 5", version="5"))
    assert stands.name == "Name 5"


async def test_a_system_writes_only_its_own_records_and_what_it_owns(world: World) -> None:
    assert await refusal_of(brought(world, a_record(), "hubspot")) == "ownership.not_allowed"
    crm = a_record()
    crm.source.system = "netsuite"
    assert await refusal_of(brought(world, crm)) == "customer.source_foreign"
    _, outcome = await brought(world, a_record(), None)
    assert outcome == "created"


async def test_a_source_without_details_leaves_those_recorded_here(world: World) -> None:
    first, _ = await brought(world, a_record())
    details = pb.CustomerDetails(
        payer_customer_id=world.customer.customer_id,
        contacts=[customer_pb2.Contact(name="Nina", purpose="billing", email="n@x.example")],
        tax_registrations=[customer_pb2.TaxRegistration(country="FR", tax_id=FRENCH)],
        exemption_certificates=[
            customer_pb2.ExemptionCertificate(
                country="US",
                region="NY",
                number="EX-1",
                valid_from="2026-01-01",
                valid_to="2027-01-01",
            )
        ],
    )
    edited = (await world.customers().UpdateCustomer(update_of(first, details=details))).customer
    assert edited.tax_registrations[0].status == customer_pb2.TAX_STATUS_VALID

    renamed, _ = await brought(world, a_record("Renamed"))
    assert renamed.name == "Renamed"
    for field in ("contacts", "tax_registrations", "exemption_certificates", "payer_customer_id"):
        assert getattr(renamed, field) == getattr(edited, field)
    read = await world.customers().GetCustomer(pb.GetCustomerRequest(customer_id=first.customer_id))
    assert read.customer == renamed


async def test_a_payer_has_to_be_a_customer(world: World) -> None:
    details = pb.CustomerDetails(bill_to_customer_id=UNKNOWN)
    call = world.customers().UpdateCustomer(update_of(world.customer, details=details))
    assert await refusal_of(call) == "customer.party_not_found"


async def test_business_ends_and_goes_on_again_for_a_reason(world: World) -> None:
    quote = await world.created_quote()
    customer_id = world.customer.customer_id
    end = pb.EndCustomerRequest(
        request_id="end", customer_id=customer_id, end_on="2026-01-01", reason="insolvent"
    )
    ended = (await world.customers(subject="fritz").EndCustomer(end)).customer
    assert ended.ended_on == "2026-01-01"
    again = pb.EndCustomerRequest(
        request_id="again", customer_id=customer_id, end_on="2026-02-01", reason="later"
    )
    assert await refusal_of(world.customers().EndCustomer(again)) == "customer.already_ended"

    assert await refusal_of(world.created_quote()) == "customer.ended"
    assert await refusal_of(world.imports().ImportQuote(world.import_request())) == "customer.ended"
    approval = quote_pb.ApproveQuoteRequest(
        request_id=a_request_id(), quote_id=quote.quote_id, quote_version=1
    )
    approver = world.approvals("sales_operations", subject="ines")
    assert await refusal_of(approver.ApproveQuote(approval)) == "customer.ended"

    reopen = pb.ReopenCustomerRequest(
        request_id="reopen", customer_id=customer_id, reason="taken over"
    )
    reopened = (await world.customers(subject="frieda").ReopenCustomer(reopen)).customer
    assert not reopened.HasField("ended_on")
    assert (await approver.ApproveQuote(approval)).quote.quote_id == quote.quote_id
    async with world.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT reason, moved_by FROM customer_move ORDER BY version")
        )
        assert [tuple(row) for row in rows] == [("insolvent", "fritz"), ("taken over", "frieda")]


async def test_children_and_those_still_dealt_with_are_listed(world: World) -> None:
    child = await created(world, name="Child", parent_customer_id=world.customer.customer_id)
    await created(world, name="Grandchild", parent_customer_id=child.customer_id)
    await world.customers().EndCustomer(
        pb.EndCustomerRequest(
            request_id="end", customer_id=child.customer_id, end_on="2999-01-01", reason="merged"
        )
    )

    async def listed(**filters: Any) -> list[str]:
        reply = await world.customers().ListCustomers(pb.ListCustomersRequest(**filters))
        return [customer.name for customer in reply.customers]

    assert await listed(parent_customer_id=world.customer.customer_id) == ["Child"]
    assert await listed(not_ended=True) == [world.customer.name, "Grandchild"]
    assert await listed(on_credit_hold=True) == []
