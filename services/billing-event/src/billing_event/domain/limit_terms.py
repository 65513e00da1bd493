"""Limits as they are agreed: which ones the terms of a contract set, and which daily caps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.limit import (
    LimitAccountId,
    LimitScope,
    account_id,
    category_account_of,
    customer_account_id,
    order_account_id,
    payer_account_id,
)
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    CustomerId,
    LegalEntityId,
    SourceItem,
)
from billing_event.domain.terms import ContractTerms
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as it is agreed.

    `customer_id` is the payer, or the customer of a framework over all its contracts; only that
    one belongs to no contract. `category`, `person_id` and `day` narrow a daily cap of expenses.
    """

    limit_account_id: LimitAccountId
    scope: LimitScope
    legal_entity_id: LegalEntityId
    agreed: Money
    contract_id: ContractId | None = None
    contract_version: int | None = None
    contract_line_id: ContractLineId | None = None
    purchase_order_number: str | None = None
    customer_id: CustomerId | None = None
    category: str | None = None
    person_id: UUID | None = None
    day: date | None = None


def limits_of(terms: ContractTerms) -> list[Limit]:
    """Return the limits the terms set: the contract's, its lines', its orders', its payers'."""
    contract_id = terms.contract_id

    def limit(
        limit_account_id: LimitAccountId,
        scope: LimitScope,
        agreed: Money | None,
        *,
        line_id: ContractLineId | None = None,
        number: str | None = None,
        payer: CustomerId | None = None,
    ) -> Iterable[Limit]:
        if agreed is not None:
            yield Limit(
                limit_account_id,
                scope,
                terms.legal_entity_id,
                agreed,
                contract_id,
                terms.contract_version,
                contract_line_id=line_id,
                purchase_order_number=number,
                customer_id=payer,
            )

    limits = list(limit(account_id(contract_id, None), LimitScope.CONTRACT, terms.not_to_exceed))
    for line in terms.lines.values():
        line_id, agreed = line.contract_line_id, line.not_to_exceed
        account = account_id(contract_id, line_id)
        limits += limit(account, LimitScope.CONTRACT_LINE, agreed, line_id=line_id)
    for order in terms.purchase_orders:
        account = order_account_id(contract_id, order.number)
        limits += limit(account, LimitScope.PURCHASE_ORDER, order.amount, number=order.number)
    for payer in terms.payers:
        account = payer_account_id(contract_id, payer.customer_id)
        limits += limit(account, LimitScope.PAYER, payer.limit, payer=payer.customer_id)
    return limits


def caps_of(items: Iterable[SourceItem], agreements: Mapping[ContractId, Agreement]) -> list[Limit]:
    """Return the daily caps these expenses fall under, by the terms of the day of each receipt."""
    caps: dict[LimitAccountId, Limit] = {}
    for item in items:
        account = category_account_of(item)
        if account is None or account in caps or item.contract_id is None:
            continue
        assert item.contract_line_id is not None, "a capped expense is mapped to a line"
        agreement = agreements.get(item.contract_id)
        found = agreement and agreement.line_on(item.contract_line_id, item.service_from)
        if not found:
            continue
        terms, line = found
        cap = line.daily_caps.get(item.category)
        if cap is not None:
            caps[account] = Limit(
                account,
                LimitScope.CATEGORY,
                terms.legal_entity_id,
                cap,
                terms.contract_id,
                terms.contract_version,
                contract_line_id=line.contract_line_id,
                category=item.category,
                person_id=item.person_id,
                day=item.service_from,
            )
    return list(caps.values())


def accounts_of(
    items: Iterable[SourceItem], agreements: Mapping[ContractId, Agreement]
) -> set[LimitAccountId]:
    """Return the limits these things may meet that belong to no single contract, or to a day.

    Limits of whoever was or is billed under these contracts, and daily caps of expenses.
    """
    found = {account for item in items if (account := category_account_of(item)) is not None}
    for agreement in agreements.values():
        for terms in agreement.versions:
            payers = {terms.bill_to_customer_id, *(payer.customer_id for payer in terms.payers)}
            found |= {
                customer_account_id(terms.legal_entity_id, payer, terms.currency)
                for payer in payers
            }
    return found


def name_of(limit: Limit) -> str:
    """Return in words which limit it is."""
    if limit.scope is LimitScope.CONTRACT:
        return "the contract"
    if limit.scope is LimitScope.CONTRACT_LINE:
        return "the contract line"
    if limit.scope is LimitScope.PURCHASE_ORDER:
        return f"purchase order {limit.purchase_order_number}"
    if limit.scope is LimitScope.PAYER:
        return "the payer"
    if limit.scope is LimitScope.CUSTOMER:
        return "the customer over all contracts"
    return f"{limit.category} of one person on {limit.day}"
