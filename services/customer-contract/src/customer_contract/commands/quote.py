"""Commands on quotes: written, revised, brought in; approving one drafts its contract."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import quote_contract
from customer_contract.commands.deliverers import require_deliverers
from customer_contract.domain import contract as contract_domain
from customer_contract.domain import quote as domain
from customer_contract.domain import quote_decision as decisions
from customer_contract.domain.contract_terms import Amendment, Contract
from customer_contract.domain.customer import require_business
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.quote import (
    Approval,
    Identity,
    ImportOutcome,
    Pricing,
    Proposer,
    Quote,
    QuoteOrigin,
    QuoteTerms,
)
from customer_contract.domain.quote_review import require_within_policy
from customer_contract.domain.service_line import LineDefaults
from customer_contract.domain.values import QuoteId, QuoteLineId, SourceRef
from customer_contract.repository import catalogue, number_series
from customer_contract.repository import contract as contracts
from customer_contract.repository import price_policy as policies
from customer_contract.repository import quote as quotes
from customer_contract.repository.number_series import Series
from customer_contract.repository.quote import Parties
from throughline_core.ids import derived_id
from throughline_runtime import ownership
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id
from throughline_runtime.ownership import Action

Today = Callable[[str], date]
"""Tells the business date in a time zone."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, and what stands now; the contract is None until there is one."""

    quote: Quote
    outcome: ImportOutcome
    contract: Contract | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What an offer is completed, judged and drafted from."""

    parties: Parties
    defaults: Mapping[str, LineDefaults]
    pricing: Pricing


async def create(
    tx: AsyncConnection,
    terms: QuoteTerms,
    *,
    proposer: Proposer,
    content_sha256: bytes,
    today: Today,
) -> Quote:
    """Write an offer that waits for somebody else's approval.

    Raises:
        CustomerNotFound, CustomerEnded, LegalEntityNotFound, EntityForbidden: the parties.
        AlreadyExpired, LineNotOffered: the offer.
        InvalidArgument: see `domain.propose`.
    """
    domain.require_known_lines((), terms.lines)
    facts = await _load_facts(tx, terms, today)
    domain.require_in_time(terms, today=today(facts.parties.time_zone))
    identity = Identity(QuoteId(new_id()), 1, await number_series.take(tx, Series.QUOTE), new_id())
    origin = QuoteOrigin(proposer.subject, None, content_sha256)
    quote = _propose(identity, terms, origin, facts, _offered_line_id(terms))
    await quotes.add(tx, quote)
    return quote


async def revise(
    tx: AsyncConnection,
    quote_id: QuoteId,
    terms: QuoteTerms,
    *,
    quote_version: int,
    proposer: Proposer,
    content_sha256: bytes,
    today: Today,
) -> Quote:
    """Write the next version of an offer that was written here; the one before is superseded.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        WrittenElsewhere: another system owns it.
        ContractAlreadySigned: the customer has signed.
        StaleVersion: it has got another version, or another writer was faster.
        LineNotOffered, LineRepeated: the lines it goes on from.
        Everything `create` refuses.
    """
    latest = await quotes.get(tx, quote_id)
    require_entity(latest.legal_entity_id)
    domain.require_latest(latest, quote_version)
    domain.require_ours(latest)
    domain.require_known_lines(latest.lines, terms.lines)
    facts = await _load_facts(tx, terms, today)
    domain.require_in_time(terms, today=today(facts.parties.time_zone))
    await _make_room(tx, latest)
    identity = Identity(quote_id, quote_version + 1, latest.number, latest.correlation_id)
    origin = QuoteOrigin(proposer.subject, None, content_sha256)
    quote = _propose(identity, terms, origin, facts, _offered_line_id(terms))
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
    today: Today,
) -> Imported:
    """Bring in an offer as its source has it, approved as it is there.

    Raises:
        ApprovalNotTrusted, SourceRepeated: the request.
        CustomerNotFound, CustomerEnded, LegalEntityNotFound, EntityForbidden: the parties.
        ContractAlreadySigned: its content changed after the customer had signed.
        PolicyBreached: it is approved, breaks the price policy, and that is enforced on imports.
        InvalidArgument: see `domain.propose`.
        StaleVersion: another writer changed the version before; safe to retry.
    """
    domain.require_trusted(approval, proposer)
    domain.require_distinct_sources(terms.lines)
    domain.require_known_lines((), terms.lines)
    require_entity(terms.legal_entity_id)
    quote_id = QuoteId(derived_id("quote", *source.parts))
    latest = await quotes.find(tx, quote_id)
    if latest is not None and latest.origin.content_sha256 == content_sha256:
        return await _import_known(tx, latest, approval, proposer, at)
    facts = await _load_facts(tx, terms, today)
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
    _require_acceptable(quote, facts.pricing.policy)
    change = decisions.approve(quote, approval)
    await quotes.add(tx, change.state, events=change.events)
    recorded = Amendment(proposer.subject, at)
    contract = await quote_contract.draft(tx, change.state, facts.parties, contract, recorded)
    return Imported(change.state, outcome, contract)


async def _import_known(
    tx: AsyncConnection,
    latest: Quote,
    approval: Approval | None,
    proposer: Proposer,
    at: datetime,
) -> Imported:
    """Approve content that was brought in before, or leave everything as it is."""
    if approval is None or latest.approval is not None:
        contract = await contracts.find(tx, quote_contract.id_of(latest.quote_id))
        return Imported(latest, ImportOutcome.UNCHANGED, contract)
    _require_acceptable(latest, await policies.in_force(tx, latest.legal_entity_id))
    change = decisions.approve(latest, approval)
    recorded = Amendment(proposer.subject, at)
    parties = await quotes.parties(tx, latest.customer_id, latest.legal_entity_id)
    await quotes.save(tx, change.state, events=change.events)
    contract = await quote_contract.approve(tx, change.state, parties, recorded)
    return Imported(change.state, ImportOutcome.APPROVED, contract)


def _require_acceptable(quote: Quote, policy: PricePolicy | None) -> None:
    """Refuse what another system approved in breach of a policy that binds imports too."""
    if policy is not None and policy.rules.enforce_on_import:
        require_within_policy(quote.review)


async def _make_room(tx: AsyncConnection, latest: Quote) -> Contract | None:
    """Supersede the version that was the latest, and return the draft made from it, if any."""
    await ownership.require(tx, "quote", Action.UPDATE)
    require_entity(latest.legal_entity_id)
    contract = await contracts.find(tx, quote_contract.id_of(latest.quote_id))
    contract_domain.require_unsigned(contract)
    await quotes.save(tx, decisions.supersede(latest), is_latest=False)
    return contract


async def _load_facts(tx: AsyncConnection, terms: QuoteTerms, today: Today) -> _Facts:
    require_entity(terms.legal_entity_id)
    parties = await quotes.parties(tx, terms.customer_id, terms.legal_entity_id)
    on = today(parties.time_zone)
    require_business(parties.customer, on=on, field="terms.customer_id")
    await require_deliverers(
        tx,
        {
            f"terms.lines[{index}]": line.delivering_legal_entity_id
            for index, line in enumerate(terms.lines)
        },
    )
    entries = await catalogue.entries(tx, (line.service_code for line in terms.lines))
    policy = await policies.in_force(tx, terms.legal_entity_id)
    floors = {code: entry.floor_prices for code, entry in entries.items()}
    defaults = {code: entry.defaults for code, entry in entries.items()}
    return _Facts(parties, defaults, Pricing(policy, floors))


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
        catalogue=facts.defaults,
        customer_payment_terms_days=facts.parties.customer.profile.payment_terms_days,
        line_id=line_id,
        pricing=facts.pricing,
    )


def _offered_line_id(terms: QuoteTerms) -> Callable[[int], QuoteLineId]:
    """Keep the id of a line that goes on, and give a new line one of its own."""
    return lambda index: terms.lines[index].quote_line_id or QuoteLineId(new_id())


def _imported_line_id(quote_id: QuoteId, terms: QuoteTerms) -> Callable[[int], QuoteLineId]:
    """Name lines by their source, so that they keep their ids over versions, else by place."""

    def line_id(index: int) -> QuoteLineId:
        source = terms.lines[index].source
        parts = ("place", index) if source is None else source.parts
        return QuoteLineId(derived_id("quote_line", quote_id, *parts))

    return line_id
