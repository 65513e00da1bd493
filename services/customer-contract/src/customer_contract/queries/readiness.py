"""Readiness: what contracts are judged by before work starts, as it is recorded now."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.contract_terms import Contract
from customer_contract.domain.credit import Override
from customer_contract.domain.customer import Customer
from customer_contract.domain.data_quality import Rule, RuleObject, broken
from customer_contract.domain.data_quality_values import contract_values, customer_values
from customer_contract.domain.legal_entity import LegalEntity
from customer_contract.domain.rate_card import Deal, RateCard, in_scope
from customer_contract.domain.readiness import Facts, deal_of
from customer_contract.domain.values import (
    ContractId,
    CustomerId,
    LegalEntityId,
    QuoteLineId,
)
from customer_contract.queries.paging import limited as visible
from customer_contract.repository import (
    catalogue,
    contract,
    credit,
    customer,
    data_quality,
    legal_entity,
    quote_review,
    rate_card,
)
from customer_contract.repository.contract_statements import current
from throughline_runtime.statement import Statement

_CUSTOMERS: Final = Statement(
    select(tables.customer).where(
        tables.customer.c.customer_id == any_(bindparam("customer_ids", type_=ARRAY(Uuid)))
    )
)
_REVIEWS: Final = Statement("""
    SELECT review FROM quote
    JOIN unnest(CAST(:quote_ids AS uuid[]), CAST(:quote_versions AS integer[]))
         AS wanted (quote_id, quote_version) USING (quote_id, quote_version)
""")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A contract with what it is judged by, except what its parties owe.

    `limited` are the parties with a credit limit: only theirs has to be asked.
    """

    contract: Contract
    facts: Facts
    limited: Sequence[Customer]
    overrides: Sequence[Override]


async def load(
    tx: AsyncConnection, contract_ids: Collection[ContractId], *, today: Callable[[str], date]
) -> Sequence[Loaded]:
    """Return what contracts are judged by; credit is for whoever asks invoice-payment to fill in.

    Those that do not exist for the caller are left out. The number of statements is the same
    however many there are, except for one for each legal entity that sells.
    """
    query = current().where(tables.contract.c.contract_id.in_(contract_ids))
    judged = await contract.load(tx, visible(query, tables.contract.c.legal_entity_id))
    surroundings = await _load_surroundings(tx, judged)
    limited = [one for one in surroundings.customers.values() if one.credit_limit is not None]
    overrides = await credit.of_customers(tx, [one.customer_id for one in limited])
    return [_loaded(one, surroundings, overrides, today=today) for one in judged]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What contracts refer to, for many of them together."""

    customers: Mapping[CustomerId, Customer]
    entities: Mapping[LegalEntityId, LegalEntity]
    rules: Sequence[Rule]
    catalogue: Mapping[str, CatalogueEntry]
    templates: frozenset[str]
    cards: Sequence[RateCard]
    breached: frozenset[QuoteLineId]


async def _load_surroundings(tx: AsyncConnection, judged: Sequence[Contract]) -> _Surroundings:
    lines = [line.terms for one in judged for line in one.lines]
    entity_ids = sorted({one.legal_entity_id for one in judged})
    return _Surroundings(
        customers=await _customers(tx, judged),
        entities={key: await legal_entity.get(tx, key) for key in entity_ids},
        rules=await data_quality.in_force(tx, entity_ids),
        catalogue=await catalogue.entries(tx, {line.service_code for line in lines}),
        templates=await catalogue.templates(tx, {line.template_code for line in lines}),
        cards=await _cards(tx, [deal_of(one) for one in judged]),
        breached=await _breached(tx, judged),
    )


def _loaded(
    judged: Contract,
    around: _Surroundings,
    overrides: Sequence[Override],
    *,
    today: Callable[[str], date],
) -> Loaded:
    sold_to = around.customers[judged.customer_id]
    bill_to = around.customers[judged.billing.bill_to_customer_id]
    parties = list({one.customer_id: one for one in (sold_to, bill_to)}.values())
    limited = [one for one in parties if one.credit_limit is not None]
    limited_ids = {one.customer_id for one in limited}
    deal = deal_of(judged)
    facts = Facts(
        customer=sold_to,
        bill_to=bill_to,
        entity=around.entities[judged.legal_entity_id],
        catalogue=around.catalogue,
        templates=around.templates,
        cards=[card for card in around.cards if in_scope(card, deal) is not None],
        today=today(judged.time_zone),
        credit={},
        price_breaches=tuple(
            line for line in judged.lines if line.terms.quote_line_id in around.breached
        ),
        broken_rules=_broken_rules(around.rules, judged, parties),
    )
    own = [one for one in overrides if one.customer_id in limited_ids]
    return Loaded(judged, facts, limited, own)


async def _customers(
    tx: AsyncConnection, judged: Sequence[Contract]
) -> Mapping[CustomerId, Customer]:
    wanted = {
        customer_id
        for one in judged
        for customer_id in (one.customer_id, one.billing.bill_to_customer_id)
    }
    rows = await _CUSTOMERS.fetch(tx, {"customer_ids": list(wanted)})
    found = map(customer.customer_from, rows)
    return {one.customer_id: one for one in found}


async def _cards(tx: AsyncConnection, deals: Sequence[Deal]) -> Sequence[RateCard]:
    """Return the latest version of every card that may price hours of any of the deals."""
    table = tables.rate_card
    owner = table.c.customer_id.in_({deal.customer_id for deal in deals})
    seller = table.c.legal_entity_id.in_({deal.legal_entity_id for deal in deals})
    agreed = {deal.rate_card_id for deal in deals if deal.rate_card_id is not None}
    query = (
        select(table)
        .ext(distinct_on(table.c.rate_card_id))
        .where(table.c.currency.in_({deal.currency for deal in deals}))
        .where(
            table.c.rate_card_id.in_(agreed)
            | (
                (table.c.customer_id.is_(None) | owner)
                & (table.c.legal_entity_id.is_(None) | seller)
            )
        )
        .order_by(table.c.rate_card_id, table.c.version.desc())
    )
    return await rate_card.load(tx, query)


async def _breached(tx: AsyncConnection, judged: Sequence[Contract]) -> frozenset[QuoteLineId]:
    """Return the lines sold in breach of the price policy that nobody let pass."""
    rows = await _REVIEWS.fetch(
        tx,
        {
            "quote_ids": [one.quote_id for one in judged],
            "quote_versions": [one.quote_version for one in judged],
        },
    )
    return frozenset(
        breach.quote_line_id
        for row in rows
        for breach in quote_review.review_from(row.review).open_breaches
    )


def _broken_rules(
    rules: Sequence[Rule], judged: Contract, parties: Sequence[Customer]
) -> tuple[Rule, ...]:
    found = {
        rule.code: rule
        for party in parties
        for rule in broken(
            rules,
            {
                RuleObject.CONTRACT: contract_values(judged),
                RuleObject.CUSTOMER: customer_values(party),
            },
            legal_entity_id=judged.legal_entity_id,
            country=party.profile.address.country,
        )
    }
    return tuple(found.values())
