"""What happens to contracts is published exactly as agreed with the consumers."""

from datetime import UTC, date, datetime

from customer_contract_builders import (
    CHANGE_ORDER_ID,
    CONTRACT_ID,
    LEARNED,
    START,
    a_change_order,
    a_contract,
    a_signature,
    a_signed_contract,
    an_active_contract,
    an_amendment,
    eur,
)

from customer_contract.domain import change_order as change_orders
from customer_contract.domain import contract as contracts
from customer_contract.domain import contract_state as states
from customer_contract.domain.change_order_record import (
    ChangeOrder,
    ChangeOrderApproved,
    Grounds,
)
from customer_contract.wire import change_order as change_order_wire
from customer_contract.wire.contract import write_event
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as pb
from throughline_core.change import Change
from throughline_testing.samples import assert_matches_sample

APPROVED_ON = date(2026, 9, 28)
APPLIED_ON = date(2026, 10, 1)


def approved() -> Change[ChangeOrder, ChangeOrderApproved]:
    return change_orders.approve(
        a_change_order(),
        Grounds((an_active_contract(),), None, APPROVED_ON),
        by="ines",
        signature=a_signature(signed_on=date(2026, 9, 25)),
        at=datetime(2026, 9, 28, 10, 15, tzinfo=UTC),
    )


def test_a_signed_contract_is_published_as_agreed() -> None:
    change = states.sign(a_contract(), a_signature(), recorded=an_amendment(), today=START)

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractSigned)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (CONTRACT_ID, 2)


def test_an_activated_contract_is_published_as_agreed() -> None:
    change = states.activate(a_signed_contract(), on=START, today=START, at=LEARNED)

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractActivated)
    assert outgoing.engagement_id == a_contract().engagement_id


def test_a_moved_limit_is_published_as_agreed() -> None:
    contract = an_active_contract()
    change = contracts.change_limit(
        contract,
        eur("66000"),
        contract_line_id=contract.lines[1].contract_line_id,
        recorded=an_amendment(reason="agreed in the steering committee"),
        today=START,
    )

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractLimitChanged)


def test_a_terminated_contract_is_published_as_agreed() -> None:
    day = date(2026, 11, 20)
    change = states.terminate(
        an_active_contract(),
        on=day,
        today=day,
        reason="the customer stops the programme",
        at=LEARNED,
    )

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractTerminated)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (CONTRACT_ID, 4)


def test_a_completed_contract_is_published_as_agreed() -> None:
    day = date(2027, 9, 1)
    change = states.complete(
        an_active_contract(), on=day, today=day, open_change_orders=0, at=LEARNED
    )

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractCompleted)


def test_an_approved_change_order_is_published_as_agreed() -> None:
    [outgoing] = map(change_order_wire.write_event, approved().events)

    assert_matches_sample(outgoing, pb.ChangeOrderApproved)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (CHANGE_ORDER_ID, 3)


def test_an_amended_contract_is_published_as_agreed() -> None:
    _, [change] = change_orders.apply(
        approved().state,
        Grounds((an_active_contract(),), None, APPLIED_ON),
        recorded=an_amendment(),
    )

    [outgoing] = map(write_event, change.events)

    assert_matches_sample(outgoing, pb.ContractAmended)
    assert (outgoing.aggregate_id, outgoing.aggregate_version) == (CONTRACT_ID, 4)
