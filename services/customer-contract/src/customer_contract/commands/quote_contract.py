"""From an approved quote to the draft of its contract, in the same transaction."""

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import quote_gate
from customer_contract.domain import contract as domain
from customer_contract.domain.contract_terms import Amendment, Contract
from customer_contract.domain.quote import Quote
from customer_contract.domain.values import ContractId, QuoteId
from customer_contract.repository import contract as contracts
from customer_contract.repository.quote import Parties
from throughline_core.ids import derived_id
from throughline_runtime.ids import new_id


def id_of(quote_id: QuoteId) -> ContractId:
    """Return the id of the one contract a quote can become, whatever its version."""
    return ContractId(derived_id("contract", quote_id))


async def approve(
    tx: AsyncConnection, quote: Quote, parties: Parties, recorded: Amendment
) -> Contract:
    """Draft the contract of an offer that has just been approved, or draft it anew.

    `parties` are those of the quote.

    Raises:
        ContractAlreadySigned: the customer has signed an earlier version.
        OwnershipNotAllowed, CustomerEnded, RuleBroken: see `quote_gate.require_fit`.
        StaleVersion: another writer was faster.
    """
    drafted = await contracts.find(tx, id_of(quote.quote_id))
    domain.require_unsigned(drafted)
    return await draft(tx, quote, parties, drafted, recorded)


async def draft(
    tx: AsyncConnection,
    quote: Quote,
    parties: Parties,
    drafted: Contract | None,
    recorded: Amendment,
) -> Contract:
    """Draft the contract of an approved quote, or bring the draft there is to its terms.

    `parties` are those of the quote.

    Raises:
        OwnershipNotAllowed, CustomerEnded, RuleBroken: see `quote_gate.require_fit`.
    """
    time_zone = parties.time_zone
    on = recorded.recorded_at.astimezone(ZoneInfo(time_zone)).date()
    await quote_gate.require_fit(tx, quote, parties.customer, on=on)
    if drafted is not None:
        redrafted = domain.redraft(drafted, quote, time_zone=time_zone, recorded=recorded)
        await contracts.save_draft(tx, redrafted)
        return redrafted
    contract = domain.draft(
        quote,
        contract_id=id_of(quote.quote_id),
        engagement_id=new_id(),
        number="",  # It gets one when it is written: numbers are taken in turn.
        time_zone=time_zone,
        recorded=recorded,
    )
    return await contracts.add(tx, contract)
