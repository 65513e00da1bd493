"""Decisions on quotes: steps of approval, exceptions, rejection, withdrawal, expiry, documents."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import quote_contract
from customer_contract.domain import contract as contract_domain
from customer_contract.domain import quote as quote_domain
from customer_contract.domain import quote_decision as domain
from customer_contract.domain import quote_document as document_domain
from customer_contract.domain.contract_terms import Amendment, Contract
from customer_contract.domain.price_policy import ApproverRole
from customer_contract.domain.proposal import Act
from customer_contract.domain.quote import Quote, RejectionCode
from customer_contract.domain.quote_document import DocumentKind, QuoteDocument
from customer_contract.domain.values import QuoteId
from customer_contract.repository import contract as contracts
from customer_contract.repository import price_policy as policies
from customer_contract.repository import quote as quotes
from customer_contract.repository import quote_document as documents
from throughline_runtime.identity import require_entity

Today = Callable[[str], date]
"""Tells the business date in a time zone."""


async def approve(
    tx: AsyncConnection,
    quote_id: QuoteId,
    *,
    quote_version: int,
    act: Act,
    roles: AbstractSet[ApproverRole],
    today: Today,
) -> tuple[Quote, Contract | None]:
    """Take the next step of an offer's approval.

    The last one announces `QuoteApproved` and drafts the contract, or drafts it anew; before that
    there is none.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version, or another writer was faster.
        ApprovedByProposer, ApprovedTwice, StepOfAnotherRole, PolicyBreached, ValidityOver,
        IllegalTransition: see `domain.approve_step`.
        ContractAlreadySigned: the customer has signed an earlier version.
    """
    quote = await _get(tx, quote_id, quote_version)
    parties = await quotes.parties(tx, quote.customer_id, quote.legal_entity_id)
    change = domain.approve_step(quote, act, roles, today=today(parties.time_zone))
    await quotes.save_step(tx, change.state, events=change.events)
    if not change.events:
        return change.state, None
    recorded = Amendment(act.by, act.at)
    return change.state, await quote_contract.approve(tx, change.state, parties, recorded)


async def accept_breaches(
    tx: AsyncConnection,
    quote_id: QuoteId,
    *,
    quote_version: int,
    act: Act,
    roles: AbstractSet[ApproverRole],
) -> Quote:
    """Let an offer stand that another system approved in breach of the price policy.

    Who may is said by the policy now in force.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version, or another writer was faster.
        ApprovedByProposer, NoBreaches, PolicyBreached, StepOfAnotherRole, IllegalTransition: see
            `domain.accept_breaches`.
    """
    quote = await _get(tx, quote_id, quote_version)
    policy = await policies.in_force(tx, quote.legal_entity_id)
    exception_role = None if policy is None else policy.rules.exception_role
    accepted = domain.accept_breaches(quote, act, roles, exception_role=exception_role)
    await quotes.save(tx, accepted)
    return accepted


async def reject(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int, reason: str, code: RejectionCode
) -> Quote:
    """Turn an offer down.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version, or another writer was faster.
        IllegalTransition: see `domain.reject`.
    """
    quote = await _get(tx, quote_id, quote_version)
    rejected = domain.reject(quote, reason=reason, code=code)
    await quotes.save(tx, rejected)
    return rejected


async def withdraw(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int, reason: str, code: RejectionCode
) -> Quote:
    """Take an offer back before the customer has signed.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        ContractAlreadySigned: the customer has signed.
        StaleVersion: it has got another version, or another writer was faster.
        IllegalTransition: see `domain.withdraw`.
    """
    quote = await _get(tx, quote_id, quote_version)
    contract_domain.require_unsigned(await contracts.find(tx, quote_contract.id_of(quote_id)))
    withdrawn = domain.withdraw(quote, reason=reason, code=code)
    await quotes.save(tx, withdrawn)
    return withdrawn


async def expire_due(tx: AsyncConnection, *, today: Today, limit: int) -> int:
    """Let offers expire whose last day is gone, at most `limit`; return how many did."""
    days = {zone: today(zone) for zone in await quotes.time_zones(tx)}
    due = await quotes.due_to_expire(tx, days, limit=limit)
    if due:
        await quotes.save_expired(tx, [domain.expire(quote) for quote in due])
    return len(due)


async def attach(
    tx: AsyncConnection,
    quote_id: QuoteId,
    content: bytes,
    *,
    quote_version: int,
    kind: DocumentKind,
    file_name: str,
    act: Act,
) -> QuoteDocument:
    """Attach a document to a version of an offer; the same content again changes nothing.

    Raises:
        QuoteNotFound, EntityForbidden: the quote.
        StaleVersion: it has got another version.
        NotAPdf, TooManyDocuments, IllegalTransition: see `quote_document`.
    """
    quote = await _get(tx, quote_id, quote_version)
    document = document_domain.attach(
        quote, content, kind=kind, file_name=file_name, by=act.by, at=act.at
    )
    attached = await documents.attached(tx, quote_id, quote_version)
    same = next((one for one in attached if one.sha256 == document.sha256), None)
    if same is not None:
        return same
    document_domain.require_room(len(attached))
    await documents.add(tx, document, content)
    return document


async def _get(tx: AsyncConnection, quote_id: QuoteId, quote_version: int) -> Quote:
    quote = await quotes.get(tx, quote_id)
    require_entity(quote.legal_entity_id)
    quote_domain.require_latest(quote, quote_version)
    return quote
