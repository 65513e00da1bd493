"""Commands on contracts."""

from collections.abc import Callable
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import contract as domain
from customer_contract.domain import quote as quote_domain
from customer_contract.domain.contract_terms import (
    Amendment,
    BillingProfile,
    Contract,
    Signature,
)
from customer_contract.domain.values import ContractId, ContractLineId
from customer_contract.domain.versions import require_version
from customer_contract.repository import contract as contracts
from customer_contract.repository import customer as customers
from customer_contract.repository import quote as quotes
from customer_contract.repository import rate_card as rate_cards
from throughline_core.money import Money
from throughline_runtime.identity import require_entity

Today = Callable[[str], date]
"""Tells the business date in a time zone."""


async def update_draft(
    tx: AsyncConnection,
    contract_id: ContractId,
    billing: BillingProfile,
    *,
    version: int,
    recorded: Amendment,
) -> Contract:
    """Replace the terms of a draft that the quote does not fix.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        CustomerNotFound, RateCardNotFound, EntityForbidden: what the terms name.
        NotDraft, LimitNotPositive, MixedCurrencies, CardCurrencyDiffers: see `domain.edit_draft`.
    """
    contract = await _get(tx, contract_id)
    require_version(contract.version, version)
    await customers.get(tx, billing.bill_to_customer_id, field="bill_to_customer_id")
    card_currency = None
    if billing.rate_card_id is not None:
        scope = (await rate_cards.get(tx, billing.rate_card_id)).scope
        if scope.legal_entity_id is not None:
            require_entity(scope.legal_entity_id)
        card_currency = scope.currency
    edited = domain.edit_draft(contract, billing, card_currency=card_currency, recorded=recorded)
    await contracts.save_draft(tx, edited)
    return edited


async def sign(
    tx: AsyncConnection, contract_id: ContractId, signature: Signature, *, today: Today
) -> Contract:
    """Record the customer's signature, accept the quote, and announce `ContractSigned`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition: it is not a draft, or its quote is no longer approved.
        DateInFuture: see `domain.sign`.
    """
    contract = await _get(tx, contract_id)
    change = domain.sign(contract, signature, today=today(contract.time_zone))
    quote = await quotes.get(tx, contract.quote_id, quote_version=contract.quote_version)
    await quotes.save(tx, quote_domain.accept(quote))
    await contracts.save_signed(tx, change)
    return change.state


async def activate(
    tx: AsyncConnection, contract_id: ContractId, *, on: date, today: Today
) -> Contract:
    """Put a signed contract into force and announce `ContractActivated`.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, TermNotStarted, TermOver, DateInFuture: see `domain.activate`.
    """
    contract = await _get(tx, contract_id)
    change = domain.activate(contract, on=on, today=today(contract.time_zone))
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
    tx: AsyncConnection, contract_id: ContractId, *, on: date, today: Today, reason: str
) -> Contract:
    """End a signed or active contract early.

    Raises:
        ContractNotFound, EntityForbidden, StaleVersion: the contract.
        IllegalTransition, EndsBeforeStart, TermOver, DateInFuture: see `domain.terminate`.
    """
    contract = await _get(tx, contract_id)
    change = domain.terminate(contract, on=on, today=today(contract.time_zone), reason=reason)
    await contracts.save(tx, change)
    return change.state


async def _get(tx: AsyncConnection, contract_id: ContractId) -> Contract:
    contract = await contracts.get(tx, contract_id)
    require_entity(contract.legal_entity_id)
    return contract
