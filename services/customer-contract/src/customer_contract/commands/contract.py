"""Commands on contracts."""

from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands.contract_parties import require_parties
from customer_contract.domain import contract as domain
from customer_contract.domain import contract_state as state
from customer_contract.domain import quote_decision
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    Signature,
)
from customer_contract.domain.rate_card import require_billing
from customer_contract.domain.values import ContractId, ContractLineId
from customer_contract.domain.versions import require_version
from customer_contract.repository import change_order as change_orders
from customer_contract.repository import contract as contracts
from customer_contract.repository import quote as quotes
from customer_contract.repository import quote_document as quote_documents
from customer_contract.repository import rate_card as rate_cards
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money
from throughline_runtime.identity import require_entity

Today = Callable[[str], date]
"""Tells the business date in a time zone."""


class DocumentNotAttached(FailedPrecondition):
    """The signed document is said to be attached to the quote, and is not."""

    code = "contract.document_not_attached"


async def update_draft(
    tx: AsyncConnection,
    contract_id: ContractId,
    billing: BillingProfile,
    *,
    version: int,
    recorded: Amendment,
    today: Today,
) -> Contract:
    """Replace the terms of a draft that the quote does not fix.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        CustomerNotFound, RateCardNotFound, EntityForbidden: what the terms name.
        CustomerEnded: who receives invoices, or pays, is no customer any more.
        NotDraft, LimitNotPositive, MixedCurrencies, NotForBilling, CardCurrencyDiffers, and what
            else `domain.edit_draft` refuses.
    """
    contract = await _get(tx, contract_id)
    require_version(contract.version, version)
    await require_parties(tx, billing, on=today(contract.time_zone))
    card_currency = None
    if billing.rate_card_id is not None:
        scope = (await rate_cards.get(tx, billing.rate_card_id)).scope
        if scope.legal_entity_id is not None:
            require_entity(scope.legal_entity_id)
        require_billing(scope)
        card_currency = scope.currency
    edited = domain.edit_draft(contract, billing, card_currency=card_currency, recorded=recorded)
    await contracts.save_draft(tx, edited)
    return edited


async def sign(
    tx: AsyncConnection,
    contract_id: ContractId,
    signature: Signature,
    *,
    recorded: Amendment,
    is_attached: bool,
    is_activated: bool,
    today: Today,
) -> Contract:
    """Record the customer's signature, accept the quote, and announce `ContractSigned`.

    With `is_attached` the signed document has to be one of the quote's. With `is_activated` the
    contract comes into force as well, at once or when its term begins.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        DocumentNotAttached: the quote has no document with this content.
        IllegalTransition: it is not a draft, or its quote is no longer approved.
        ValidityOver: the last day of its quote is gone.
        DateInFuture: see `contract_state.sign`.
        TermOver: see `contract_state.activate_on_signature`.
    """
    contract = await _get(tx, contract_id)
    day = today(contract.time_zone)
    change = state.sign(contract, signature, recorded=recorded, today=day)
    if is_attached:
        await _require_attached(tx, contract, signature.document_sha256)
    quote = await quotes.get(tx, contract.quote_id, quote_version=contract.quote_version)
    await quotes.save(tx, quote_decision.accept(quote, today=day))
    if is_activated:
        activation = state.activate_on_signature(change.state, today=day, at=recorded.recorded_at)
        change = Change(activation.state, (*change.events, *activation.events))
    await contracts.save_signed(tx, change, replaced=contract.version)
    return change.state


async def activate(
    tx: AsyncConnection, contract_id: ContractId, *, on: date, today: Today, at: datetime
) -> Contract:
    """Put a signed contract into force and announce `ContractActivated`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, TermNotStarted, TermOver, DateInFuture: see `contract_state.activate`.
    """
    contract = await _get(tx, contract_id)
    change = state.activate(contract, on=on, today=today(contract.time_zone), at=at)
    await contracts.save(tx, change)
    return change.state


async def activate_due(
    tx: AsyncConnection, contract_id: ContractId, *, today: Today, at: datetime
) -> Contract:
    """Put a contract into force that was signed to do so by itself when its term begins.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, TermOver, DateInFuture: see `contract_state.activate`.
    """
    contract = await _get(tx, contract_id)
    on = state.first_day_in_force(contract)
    change = state.activate(contract, on=on, today=today(contract.time_zone), at=at)
    await contracts.save(tx, change)
    return change.state


async def change_limit(
    tx: AsyncConnection,
    contract_id: ContractId,
    limit: Money | None,
    *,
    contract_line_id: ContractLineId | None,
    recorded: Amendment,
    today: Today,
) -> Contract:
    """Move a not-to-exceed and announce `ContractLimitChanged`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        NotActive, LineNotFound, LimitNotApplicable, LimitUnchanged, LimitNotPositive,
            MixedCurrencies: see `domain.change_limit`.
    """
    contract = await _get(tx, contract_id)
    change = domain.change_limit(
        contract,
        limit,
        contract_line_id=contract_line_id,
        recorded=recorded,
        today=today(contract.time_zone),
    )
    await contracts.save_amended(tx, change)
    return change.state


async def terminate(
    tx: AsyncConnection,
    contract_id: ContractId,
    *,
    on: date,
    today: Today,
    reason: str,
    at: datetime,
) -> Contract:
    """End a signed or active contract early and announce `ContractTerminated`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, EndsBeforeStart, TermOver, DateInFuture: see `contract_state.terminate`.
    """
    contract = await _get(tx, contract_id)
    day = today(contract.time_zone)
    change = state.terminate(contract, on=on, today=day, reason=reason, at=at)
    await contracts.save(tx, change)
    return change.state


async def complete(
    tx: AsyncConnection, contract_id: ContractId, *, on: date, today: Today, at: datetime
) -> Contract:
    """Record that everything agreed was done and announce `ContractCompleted`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, ChangeOrdersOpen, EndsBeforeStart, DateInFuture: see
            `contract_state.complete`.
    """
    contract = await _get(tx, contract_id)
    change = state.complete(
        contract,
        on=on,
        today=today(contract.time_zone),
        open_change_orders=await change_orders.open_count(tx, contract_id),
        at=at,
    )
    await contracts.save(tx, change)
    return change.state


async def _require_attached(tx: AsyncConnection, contract: Contract, sha256: str) -> None:
    if not await quote_documents.is_attached(
        tx, contract.quote_id, contract.quote_version, bytes.fromhex(sha256)
    ):
        raise DocumentNotAttached(
            f"the quote of contract {contract.number} has no document with this hash",
            field="document_sha256",
            advice="attach the signed document to the quote first, or send the hash alone",
        )


async def _get(tx: AsyncConnection, contract_id: ContractId) -> Contract:
    contract = await contracts.get(tx, contract_id)
    require_entity(contract.legal_entity_id)
    return contract
