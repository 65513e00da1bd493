"""The readiness check: what is recorded here, and what invoice-payment says the parties owe."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from customer_contract.domain.credit import positions
from customer_contract.domain.readiness import Facts, judge
from customer_contract.domain.values import ContractId
from customer_contract.grpc_api import exposure
from customer_contract.queries import readiness as queries
from customer_contract.queries.readiness import Loaded
from customer_contract.repository.contract import ContractNotFound
from customer_contract.wire.contract import write_readiness, write_unknown_contract
from throughline.customer_contract.v1 import contract_service_pb2 as pb
from throughline_runtime.context import Context
from throughline_runtime.database import read


async def check(context: Context, contract_id: ContractId) -> pb.CheckReadinessResponse:
    """Return every check of whether work under the contract can start; changes nothing.

    Raises:
        ContractNotFound: there is no such contract for the caller.
    """
    answers = await _check_known(context, [contract_id])
    if contract_id not in answers:
        raise ContractNotFound(f"there is no contract {contract_id}", field="contract_id")
    return answers[contract_id]


async def check_all(
    context: Context, contract_ids: Sequence[ContractId]
) -> Sequence[pb.CheckReadinessResponse]:
    """Return every check of each contract in turn, or that there is none; changes nothing."""
    answers = await _check_known(context, contract_ids)
    return [answers.get(key) or write_unknown_contract(key) for key in contract_ids]


async def _check_known(
    context: Context, contract_ids: Sequence[ContractId]
) -> Mapping[ContractId, pb.CheckReadinessResponse]:
    """Return every check of each contract there is for the caller."""
    async with read(context.engine) as tx:
        found = await queries.load(tx, contract_ids, today=context.clock.today)
    limited = {one.customer_id for loaded in found for one in loaded.limited}
    answer = await exposure.ask(context, limited) if limited else None
    return {
        loaded.contract.contract_id: write_readiness(
            loaded.contract,
            judge(loaded.contract, _with_credit(loaded, answer, context.clock.today("UTC"))),
        )
        for loaded in found
    }


def _with_credit(loaded: Loaded, answer: exposure.Answer | None, today: date) -> Facts:
    """Return the facts with how the parties that have a limit stand; None where nobody says."""
    if not loaded.limited:
        return loaded.facts
    if answer is None:
        return replace(loaded.facts, credit=None)
    credit = {
        one.customer_id: positions(
            one.credit_limit,
            [each for each in loaded.overrides if each.customer_id == one.customer_id],
            answer.exposures.get(one.customer_id, ()),
            today=today,
        )
        for one in loaded.limited
    }
    return replace(loaded.facts, credit=credit)
