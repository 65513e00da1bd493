"""Control totals, and how much the database is asked."""

from customer_contract_world import World, a_request_id, sampled_lines
from sqlalchemy.ext.asyncio import AsyncEngine

from customer_contract.queries.contracts import control_totals
from throughline.customer_contract.v1 import contract_service_pb2 as pb
from throughline.customer_contract.v1 import quote_service_pb2 as quote_pb
from throughline.customer_contract.v1.change_order_service_pb2 import EndedLine
from throughline_runtime.database import read
from throughline_testing.statements import Statements


async def figures(engine: AsyncEngine) -> dict[str, str]:
    async with read(engine) as tx:
        [total] = await control_totals(tx)
    assert total.name == "contracts"
    return {name: f"{value:.2f}" for name, value in total.figures.items()}


async def test_totals_count_what_is_in_force(world: World) -> None:
    assert await figures(world.engine) == {"active": "0.00", "lines": "0.00"}
    await world.an_active("quote-1")
    await world.an_active("quote-2", lines=sampled_lines()[:1])
    await world.a_signed("quote-3")

    assert await figures(world.engine) == {
        "active": "2.00",
        "lines": "5.00",
        "contracted.EUR": "140400.00",
    }


async def test_what_a_change_order_ended_is_not_contracted_any_more(world: World) -> None:
    active = await world.an_active(lines=sampled_lines()[:2])
    before = await figures(world.engine)
    proposal = await world.a_proposal(
        active,
        "2026-10-01",
        ended_lines=[EndedLine(contract_line_id=active.lines[0].contract_line_id)],
    )
    await world.change_orders(subject="ines").ApproveChangeOrder(world.approval_of(proposal))

    assert (before["lines"], before["contracted.EUR"]) == ("2.00", "82400.00")
    after = await figures(world.engine)
    assert (after["lines"], after["contracted.EUR"]) == ("1.00", "58400.00")


async def test_a_quote_becomes_a_contract_in_as_many_statements_whatever_its_lines(
    world: World, statements: Statements
) -> None:
    counts = []
    for source, lines in (("one", sampled_lines()[:1]), ("many", sampled_lines())):
        statements.clear()
        await world.imports().ImportQuote(world.import_request(source, lines=lines))
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert counts[0] == 10


async def test_an_approval_and_a_signature_take_as_many_statements_whatever_the_lines(
    world: World, statements: Statements
) -> None:
    counts = []
    for lines in (sampled_lines()[:1], sampled_lines()):
        quote = await world.created_quote(lines=lines)
        statements.clear()
        approved = await world.quotes(subject="paul").ApproveQuote(
            quote_pb.ApproveQuoteRequest(
                request_id=a_request_id(), quote_id=quote.quote_id, quote_version=1
            )
        )
        approval = len(statements)
        statements.clear()
        signature = world.signature_of(approved.contract.contract_id)
        signature.activate = True
        await world.contracts().SignContract(signature)
        counts.append((approval, len(statements)))

    # Claim, quote, its lines, parties, step, event, contract there is, rules, contract, memory.
    # Claim, contract, its lines, quote, its lines, acceptance, signature, events, memory.
    assert counts == [(10, 9), (10, 9)]


async def test_a_list_asks_as_often_for_many_contracts_as_for_one(
    world: World, statements: Statements
) -> None:
    counts = []
    for source in ("quote-1", "quote-2"):
        await world.a_draft(source)
        statements.clear()
        await world.contracts().ListContracts(pb.ListContractsRequest())
        counts.append(len(statements))
    assert counts[0] == counts[1]
