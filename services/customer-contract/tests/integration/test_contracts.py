"""Contracts over gRPC, on the real database: from the draft to the end, with all versions kept."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from customer_contract_world import (
    World,
    a_request_id,
    customer_request,
    entity_request,
    eur,
    ids_of,
    sampled_lines,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from throughline.customer_contract.v1 import contract_pb2
from throughline.customer_contract.v1 import contract_service_pb2 as pb
from throughline.customer_contract.v1 import customer_service_pb2 as customer_pb
from throughline_core.errors import Aborted, IllegalTransition, NotFound, PermissionDenied, Refusal

UNKNOWN = "01980000-0000-7000-8000-00000000dead"


def draft_edit(contract: contract_pb2.Contract, **changes: Any) -> pb.UpdateDraftContractRequest:
    values: dict[str, Any] = {
        "request_id": a_request_id(),
        "contract_id": contract.contract_id,
        "bill_to_customer_id": contract.bill_to_customer_id,
        "payment_terms_days": 14,
        "purchase_order_number": "PO-1",
        "not_to_exceed": eur("100000.00"),
        "invoice_grouping": contract_pb2.INVOICE_GROUPING_CONTRACT_LINE,
        "line_detail": contract_pb2.LINE_DETAIL_PERSON,
        "time_rounding_minutes": 15,
        "time_rounding_mode": contract_pb2.TIME_ROUNDING_MODE_UP,
    }
    return pb.UpdateDraftContractRequest(**values | changes)


def activation_of(contract: contract_pb2.Contract, on: str = "2026-09-01") -> Any:
    return pb.ActivateContractRequest(
        request_id=a_request_id(), contract_id=contract.contract_id, activate_on=on
    )


def limit_of(
    contract: contract_pb2.Contract, amount: str | None, *, line: int | None = 2
) -> pb.ChangeLimitRequest:
    return pb.ChangeLimitRequest(
        request_id=a_request_id(),
        contract_id=contract.contract_id,
        contract_line_id=None if line is None else contract.lines[line - 1].contract_line_id,
        not_to_exceed=None if amount is None else eur(amount),
        reason="agreed in the steering committee",
    )


def end_of(contract: contract_pb2.Contract, on: str = "2026-10-01") -> pb.TerminateContractRequest:
    return pb.TerminateContractRequest(
        request_id=a_request_id(),
        contract_id=contract.contract_id,
        terminate_on=on,
        reason="insolvent",
    )


def completion_of(
    contract: contract_pb2.Contract, on: str = "2026-10-01"
) -> pb.CompleteContractRequest:
    return pb.CompleteContractRequest(
        request_id=a_request_id(), contract_id=contract.contract_id, complete_on=on
    )


async def refusal_of(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        await call
    return refused.value.stable_code


async def test_a_draft_takes_the_billing_a_quote_does_not_fix(world: World) -> None:
    draft = await world.a_draft()
    card = (await world.publish_card(world.card_request())).rate_card
    payer = (
        await world.customers().CreateCustomer(customer_request(name="Payer", tax_id=None))
    ).customer
    edited = (
        await world.contracts().UpdateDraftContract(
            draft_edit(draft, bill_to_customer_id=payer.customer_id, rate_card_id=card.rate_card_id)
        )
    ).contract

    assert edited == await world.contract(draft.contract_id)
    assert (edited.version, edited.contract_version) == (2, 1)
    assert (edited.bill_to_customer_id, edited.rate_card_id) == (
        payer.customer_id,
        card.rate_card_id,
    )
    assert (edited.not_to_exceed.amount, edited.time_rounding_minutes) == ("100000.00", 15)
    assert list(edited.lines) == list(draft.lines)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 7}, "request.stale_version"),
        ({"bill_to_customer_id": UNKNOWN}, "customer.not_found"),
        ({"rate_card_id": UNKNOWN}, "rate_card.not_found"),
        ({"not_to_exceed": eur("0.00")}, "contract.limit_not_positive"),
    ],
)
async def test_a_wrong_edit_of_a_draft_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    draft = await world.a_draft()
    edit = world.contracts().UpdateDraftContract(draft_edit(draft, **changes))
    assert await refusal_of(edit) == code
    assert await world.contract(draft.contract_id) == draft


async def test_a_signature_closes_the_terms_and_accepts_the_quote(world: World) -> None:
    signed = await world.a_signed()

    assert signed.status == contract_pb2.CONTRACT_STATUS_SIGNED
    assert (signed.signatory, signed.signed_on) == ("Jonas Petersen", "2026-08-24")
    assert (await world.events())[-1] == "contract.signed.v1"
    edit = world.contracts().UpdateDraftContract(draft_edit(signed))
    assert await refusal_of(edit) == "contract.not_draft"
    with pytest.raises(Refusal):
        await world.contracts().SignContract(world.signature_of(signed.contract_id))


# The line of another version, or of a draft, could be copied likewise.
_FURTHER_LINE = """
    INSERT INTO contract_line
    SELECT (further).* FROM (
        SELECT jsonb_populate_record(line, '{"position": 99,
            "contract_line_id": "01980000-0000-7000-8000-00000000dead"}') AS further
        FROM contract_line AS line WHERE position = 1
    ) AS copied
"""


async def test_the_database_itself_keeps_signed_terms(world: World) -> None:
    await world.a_signed()
    for statement in (
        "UPDATE contract_terms SET payment_terms_days = 0",
        "DELETE FROM contract_line",
        "UPDATE contract_line SET net_total = 0",
        _FURTHER_LINE,
    ):
        async with world.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="are signed"):
                await connection.execute(text(statement))


async def test_a_signed_contract_comes_into_force(world: World) -> None:
    active = await world.an_active()

    assert active.status == contract_pb2.CONTRACT_STATUS_ACTIVE
    assert (active.version, active.activated_on) == (3, "2026-09-01")
    assert active == await world.contract(active.contract_id)
    assert (await world.events())[-1] == "contract.activated.v1"


@pytest.mark.parametrize(
    ("on", "code"),
    [
        ("2026-08-31", "contract.term_not_started"),
        ("2027-09-01", "contract.term_over"),
        ("2027-08-31", "contract.date_in_future"),
    ],
)
async def test_a_contract_is_activated_within_its_term_and_not_ahead(
    world: World, move_clock: Any, on: str, code: str
) -> None:
    move_clock(datetime(2026, 11, 20, tzinfo=UTC))
    signed = await world.a_signed()
    assert await refusal_of(world.contracts().ActivateContract(activation_of(signed, on))) == code


async def test_the_contracts_zone_decides_what_today_is(world: World, move_clock: Any) -> None:
    signed = await world.a_signed()
    # 31 August, half past ten in the evening in UTC: September has begun in Berlin.
    move_clock(datetime(2026, 8, 31, 22, 30, tzinfo=UTC))
    reply = await world.contracts().ActivateContract(activation_of(signed))
    assert reply.contract.activated_on == "2026-09-01"


async def test_of_activations_at_once_one_wins(world: World) -> None:
    signed = await world.a_signed()
    outcomes = await asyncio.gather(
        *(world.contracts().ActivateContract(activation_of(signed)) for _ in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, pb.ActivateContractResponse) for one in outcomes) == 1
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, Aborted | Refusal) for one in lost)
    assert (await world.events()).count("contract.activated.v1") == 1


async def test_an_activation_sent_again_gets_the_first_reply(world: World) -> None:
    signed = await world.a_signed()
    request = activation_of(signed)
    first, again = [await world.contracts().ActivateContract(request) for _ in range(2)]
    assert first == again
    assert (await world.events()).count("contract.activated.v1") == 1


async def test_a_moved_limit_makes_a_version_and_leaves_the_earlier_ones(
    world: World, move_clock: Any
) -> None:
    active = await world.an_active()
    for day, request in (
        (1, limit_of(active, "66000.00")),
        (2, limit_of(active, None)),
        (3, limit_of(active, "200000.00", line=None)),
    ):
        move_clock(datetime(2026, 12, day, 12, tzinfo=UTC))
        latest = (await world.contracts(subject="olga").ChangeLimit(request)).contract

    assert (latest.version, latest.contract_version) == (6, 4)
    assert latest.not_to_exceed.amount == "200000.00"

    async def limit(**point: Any) -> str:
        contract = await world.contract(active.contract_id, **point)
        return contract.lines[1].terms.not_to_exceed.amount

    assert [await limit(contract_version=n) for n in (1, 2, 3, 4)] == [
        "60000.00",
        "66000.00",
        "",
        "",
    ]
    assert await limit(as_of="2026-11-30") == "60000.00"
    assert await limit(as_of="2026-12-01") == "66000.00"
    assert await limit(as_of="2026-12-24") == ""
    assert (await world.events()).count("contract.limit_changed.v1") == 3
    history = (
        await world.contracts().ListContractVersions(
            pb.ListContractVersionsRequest(contract_id=active.contract_id)
        )
    ).versions
    assert [(one.contract_version, one.effective_on) for one in history] == [
        (1, "2026-08-24"),
        (2, "2026-12-01"),
        (3, "2026-12-02"),
        (4, "2026-12-03"),
    ]
    assert (history[1].recorded_by, history[1].reason) == (
        "olga",
        "agreed in the steering committee",
    )


@pytest.mark.parametrize(
    ("amount", "line", "code"),
    [
        ("60000.00", 2, "contract.limit_unchanged"),
        ("0.00", 2, "contract.limit_not_positive"),
        ("1.00", 1, "contract.limit_not_applicable"),
    ],
)
async def test_a_limit_that_means_nothing_is_refused(
    world: World, amount: str, line: int, code: str
) -> None:
    active = await world.an_active()
    change = world.contracts().ChangeLimit(limit_of(active, amount, line=line))
    assert await refusal_of(change) == code
    assert await world.contract(active.contract_id) == active


async def test_of_limits_moved_at_once_each_makes_a_version_of_its_own_or_none(
    world: World,
) -> None:
    active = await world.an_active()
    outcomes = await asyncio.gather(
        *(world.contracts().ChangeLimit(limit_of(active, f"{n}.00")) for n in range(1, 7)),
        return_exceptions=True,
    )
    made = [one for one in outcomes if isinstance(one, pb.ChangeLimitResponse)]
    assert all(isinstance(one, Aborted) for one in outcomes if isinstance(one, BaseException))
    latest = await world.contract(active.contract_id)
    assert latest.contract_version == 1 + len(made)
    assert sorted(one.contract.contract_version for one in made) == list(range(2, 2 + len(made)))


async def test_a_contract_ends_early(world: World) -> None:
    active = await world.an_active()
    ended = (await world.contracts().TerminateContract(end_of(active))).contract

    assert ended.status == contract_pb2.CONTRACT_STATUS_TERMINATED
    assert (ended.terminated_on, ended.termination_reason) == ("2026-10-01", "insolvent")
    before = await world.contract(active.contract_id, as_of="2026-09-30")
    assert (before.status, before.terminated_on) == (contract_pb2.CONTRACT_STATUS_ACTIVE, "")
    again = world.contracts().TerminateContract(end_of(active))
    assert await refusal_of(again) == IllegalTransition.code
    change = world.contracts().ChangeLimit(limit_of(active, "1.00"))
    assert await refusal_of(change) == "contract.not_active"


async def test_a_past_day_is_asked_for_in_one_way(world: World) -> None:
    active = await world.an_active()
    for point, code in (
        ({"contract_version": 2}, "contract.version_not_found"),
        ({"as_of": "2026-08-23"}, "contract.no_terms_yet"),
        ({"as_of": "2026-09-01", "contract_version": 1}, "contract.two_points_in_time"),
    ):
        assert await refusal_of(world.contract(active.contract_id, **point)) == code


async def test_contracts_are_listed_by_what_they_are(world: World) -> None:
    active = await world.an_active("quote-1")
    draft = await world.a_draft("quote-2", lines=sampled_lines()[:1])

    async def listed(**filters: Any) -> list[contract_pb2.Contract]:
        reply = await world.contracts().ListContracts(pb.ListContractsRequest(**filters))
        return list(reply.contracts)

    assert sorted(one.number for one in await listed()) == ["CT-000001", "CT-000002"]
    assert await listed(status=contract_pb2.CONTRACT_STATUS_ACTIVE) == [active]
    assert await listed(number=draft.number) == [draft]
    assert await listed(customer_id=UNKNOWN) == []
    assert len(await listed(legal_entity_id=world.entity.legal_entity_id)) == 2
    page = await world.contracts().ListContracts(pb.ListContractsRequest(page_size=1))
    assert len(page.contracts) == 1
    assert page.next_page_token


async def test_contracts_of_other_companies_are_out_of_reach(world: World) -> None:
    signed = await world.a_signed()
    stranger = world.contracts(entities=ids_of(UNKNOWN))

    assert not (await stranger.ListContracts(pb.ListContractsRequest())).contracts
    for call in (
        stranger.GetContract(pb.GetContractRequest(contract_id=signed.contract_id)),
        stranger.GetContract(
            pb.GetContractRequest(contract_id=signed.contract_id, as_of="2026-09-01")
        ),
        stranger.ListContractVersions(
            pb.ListContractVersionsRequest(contract_id=signed.contract_id)
        ),
    ):
        assert await refusal_of(call) == "contract.not_found"
    for mutation in (
        stranger.ActivateContract(activation_of(signed)),
        stranger.TerminateContract(end_of(signed)),
        stranger.CompleteContract(completion_of(signed)),
    ):
        with pytest.raises(PermissionDenied):
            await mutation


async def test_an_unknown_contract_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.contract(UNKNOWN)


async def test_readiness_tells_what_stops_work_and_passes_when_it_is_mended(world: World) -> None:
    active = await world.an_active()
    request = pb.CheckReadinessRequest(contract_id=active.contract_id)

    async def failing() -> list[tuple[str, str]]:
        reply = await world.contracts().CheckReadiness(request)
        assert reply.ready == all(check.passed for check in reply.checks)
        return [(check.code, check.owner) for check in reply.checks if not check.passed]

    assert await failing() == []
    customer_id = world.customer.customer_id
    await world.customers().PlaceCreditHold(
        customer_pb.PlaceCreditHoldRequest(
            request_id=a_request_id(), customer_id=customer_id, reason="overdue"
        )
    )
    assert await failing() == [("customer.credit_hold", "finance")]
    await world.customers().ReleaseCreditHold(
        customer_pb.ReleaseCreditHoldRequest(
            request_id=a_request_id(), customer_id=customer_id, reason="paid"
        )
    )
    assert await failing() == []


async def test_hours_without_a_rate_stop_work_until_a_card_has_one(world: World) -> None:
    lines = sampled_lines()
    lines[1].ClearField("rates")
    active = await world.an_active(lines=lines)
    request = pb.CheckReadinessRequest(contract_id=active.contract_id)

    reply = await world.contracts().CheckReadiness(request)
    [check] = [check for check in reply.checks if not check.passed]
    assert (check.code, check.owner) == ("rate_card.no_rate", "sales_operations")
    assert list(check.contract_line_ids) == [active.lines[1].contract_line_id]
    await world.publish_card(world.card_request())
    assert (await world.contracts().CheckReadiness(request)).ready


async def test_the_audit_finds_every_change_of_a_contract_and_of_its_quote(world: World) -> None:
    contract = await world.a_draft()
    await world.contracts().UpdateDraftContract(draft_edit(contract))
    await world.contracts().SignContract(world.signature_of(contract.contract_id))
    await world.contracts().TerminateContract(end_of(contract, "2026-09-15"))

    assert await world.audited(contract.contract_id) == [
        "ImportQuote",
        "UpdateDraftContract",
        "SignContract",
        "TerminateContract",
    ]
    assert await world.audited(contract.quote_id) == ["ImportQuote", "SignContract"]


async def test_nobody_prices_a_contract_by_a_card_out_of_reach(world: World) -> None:
    draft = await world.a_draft()
    other = await world.entities().CreateLegalEntity(entity_request(code="DE02"))
    card = await world.publish_card(
        world.card_request(legal_entity_id=other.legal_entity.legal_entity_id)
    )
    limited = world.contracts(entities=ids_of(world.entity.legal_entity_id))

    with pytest.raises(PermissionDenied):
        await limited.UpdateDraftContract(
            draft_edit(draft, rate_card_id=card.rate_card.rate_card_id)
        )
