"""Commands on quotes; approving one drafts its contract in the same transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import contract as contract_domain
from customer_contract.domain import quote as domain
from customer_contract.domain.contract_terms import Amendment, Contract
from customer_contract.domain.quote import (
    Approval,
    Identity,
    ImportOutcome,
    Proposer,
    Quote,
    QuoteOrigin,
    QuoteTerms,
)
from customer_contract.domain.service_line import LineDefaults
from customer_contract.domain.values import ContractId, QuoteId, QuoteLineId, SourceRef
from customer_contract.repository import catalogue, number_series
from customer_contract.repository import contract as contracts
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository import quote as quotes
from customer_contract.repository.number_series import Series
from customer_contract.repository.quote import Parties
from throughline_core.ids import derived_id
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, and what stands now; the contract is None until there is one."""

    quote: Quote
    outcome: ImportOutcome
    contract: Contract | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What an offer is completed and drafted from."""

    parties: Parties
    catalogue: Mapping[str, LineDefaults]


async def create(
    tx: AsyncConnection, terms: QuoteTerms, *, proposer: Proposer, content_sha256: bytes
) -> Quote:
    """Write an offer that waits for somebody else's approval.

    Raises:
        CustomerNotFound, LegalEntityNotFound, EntityForbidden: the parties.
        InvalidArgument: see `domain.propose`.
    """
    facts = await _load_facts(tx, terms)
    identity = Identity(QuoteId(new_id()), 1, await number_series.take(tx, Series.QUOTE), new_id())
    origin = QuoteOrigin(proposer.subject, None, content_sha256)
    quote = _propose(identity, terms, origin, facts, lambda _index: QuoteLineId(new_id()))
    await quotes.add(tx, quote)
    return quote


async def import_(
    tx: AsyncConnection,
    terms: QuoteTerms,
    *,
    source: SourceRef,
    number: str,
    approval: Approval | None,
    proposer: Proposer,
    content_sha256: bytes,
    at: datetime,
) -> Imported:
    """Bring in an offer as its source has it, approved as it is there.

    Raises:
        ApprovalNotTrusted, SourceRepeated: the request.
        CustomerNotFound, LegalEntityNotFound, EntityForbidden: the parties.
        ContractAlreadySigned: its content changed after the customer had signed.
        InvalidArgument: see `domain.propose`.
        StaleVersion: another writer brought in the same quote first; safe to retry.
    """
    domain.require_trusted(approval, proposer)
    domain.require_distinct_sources(terms.lines)
    require_entity(terms.legal_entity_id)
    quote_id = QuoteId(derived_id("quote", *source.parts))
    latest = await quotes.find(tx, quote_id)
    if latest is not None and latest.origin.content_sha256 == content_sha256:
        return await _import_known(tx, latest, approval, proposer, at)
    facts = await _load_facts(tx, terms)
    contract = None if latest is None else await _make_room(tx, latest)
    identity = Identity(
        quote_id,
        1 if latest is None else latest.quote_version + 1,
        number or (latest and latest.number) or await number_series.take(tx, Series.QUOTE),
        new_id() if latest is None else latest.correlation_id,
    )
    origin = QuoteOrigin(proposer.subject, source, content_sha256)
    quote = _propose(identity, terms, origin, facts, _imported_line_id(quote_id, terms))
    outcome = ImportOutcome.CREATED if latest is None else ImportOutcome.REVISED
    if approval is None:
        await quotes.add(tx, quote)
        return Imported(quote, outcome, contract)
    change = domain.approve(quote, approval)
    await quotes.add(tx, change.state, events=change.events)
    recorded = Amendment(proposer.subject, at)
    contract = await _draft(tx, change.state, facts.parties.time_zone, contract, recorded)
    return Imported(change.state, outcome, contract)


async def approve(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int, approval: Approval
) -> tuple[Quote, Contract]:
    """Approve an offer, announce `QuoteApproved`, and draft the contract or draft it anew.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version, or another writer was faster.
        ApprovedByProposer, IllegalTransition: see `domain.approve`.
        ContractAlreadySigned: the customer has signed an earlier version.
    """
    quote = await quotes.get(tx, quote_id)
    require_entity(quote.legal_entity_id)
    domain.require_latest(quote, quote_version)
    change = domain.approve(quote, approval)
    return await _approve(tx, change.state, change.events, Amendment(approval.by, approval.at))


async def reject(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int, reason: str
) -> Quote:
    """Turn an offer down.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version, or another writer was faster.
        IllegalTransition: see `domain.reject`.
    """
    quote = await quotes.get(tx, quote_id)
    require_entity(quote.legal_entity_id)
    domain.require_latest(quote, quote_version)
    rejected = domain.reject(quote, reason=reason)
    await quotes.save(tx, rejected)
    return rejected


async def _import_known(
    tx: AsyncConnection,
    latest: Quote,
    approval: Approval | None,
    proposer: Proposer,
    at: datetime,
) -> Imported:
    """Approve content that was brought in before, or leave everything as it is."""
    if approval is None or latest.approval is not None:
        contract = await contracts.find(tx, contract_id_of(latest.quote_id))
        return Imported(latest, ImportOutcome.UNCHANGED, contract)
    change = domain.approve(latest, approval)
    recorded = Amendment(proposer.subject, at)
    quote, contract = await _approve(tx, change.state, change.events, recorded)
    return Imported(quote, ImportOutcome.APPROVED, contract)


async def _approve(
    tx: AsyncConnection,
    quote: Quote,
    events: tuple[domain.QuoteApproved, ...],
    recorded: Amendment,
) -> tuple[Quote, Contract]:
    time_zone = (await legal_entities.get(tx, quote.legal_entity_id)).profile.time_zone
    drafted = await contracts.find(tx, contract_id_of(quote.quote_id))
    contract_domain.require_unsigned(drafted)
    await quotes.save(tx, quote, events=events)
    return quote, await _draft(tx, quote, time_zone, drafted, recorded)


async def _make_room(tx: AsyncConnection, latest: Quote) -> Contract | None:
    """Supersede the version that was the latest, and return the draft made from it, if any."""
    require_entity(latest.legal_entity_id)
    contract = await contracts.find(tx, contract_id_of(latest.quote_id))
    contract_domain.require_unsigned(contract)
    await quotes.save(tx, domain.supersede(latest), is_latest=False)
    return contract


async def _draft(
    tx: AsyncConnection,
    quote: Quote,
    time_zone: str,
    drafted: Contract | None,
    recorded: Amendment,
) -> Contract:
    if drafted is not None:
        redrafted = contract_domain.redraft(drafted, quote, time_zone=time_zone, recorded=recorded)
        await contracts.save_draft(tx, redrafted)
        return redrafted
    contract = contract_domain.draft(
        quote,
        contract_id=contract_id_of(quote.quote_id),
        engagement_id=new_id(),
        number=await number_series.take(tx, Series.CONTRACT),
        time_zone=time_zone,
        recorded=recorded,
    )
    await contracts.add(tx, contract)
    return contract


async def _load_facts(tx: AsyncConnection, terms: QuoteTerms) -> _Facts:
    require_entity(terms.legal_entity_id)
    parties = await quotes.parties(tx, terms.customer_id, terms.legal_entity_id)
    entries = await catalogue.entries(tx, (line.service_code for line in terms.lines))
    return _Facts(parties, {code: entry.defaults for code, entry in entries.items()})


def _propose(
    identity: Identity,
    terms: QuoteTerms,
    origin: QuoteOrigin,
    facts: _Facts,
    line_id: Callable[[int], QuoteLineId],
) -> Quote:
    return domain.propose(
        identity,
        terms,
        origin,
        catalogue=facts.catalogue,
        customer_payment_terms_days=facts.parties.payment_terms_days,
        line_id=line_id,
    )


def contract_id_of(quote_id: QuoteId) -> ContractId:
    """Return the id of the one contract a quote can become, whatever its version."""
    return ContractId(derived_id("contract", quote_id))


def _imported_line_id(quote_id: QuoteId, terms: QuoteTerms) -> Callable[[int], QuoteLineId]:
    """Name lines by their source, so that they keep their ids over versions, else by place."""

    def line_id(index: int) -> QuoteLineId:
        source = terms.lines[index].source
        parts = ("place", index) if source is None else source.parts
        return QuoteLineId(derived_id("quote_line", quote_id, *parts))

    return line_id
