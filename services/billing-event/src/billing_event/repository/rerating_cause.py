"""What may open a re-rating run by itself: amended terms, and new versions of rate cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.rerating_run import ReratingRun
from billing_event.domain.source import ContractId, LegalEntityId
from billing_event.domain.terms import RateCard, cards_of
from billing_event.repository import fact
from billing_event.wire.facts import read_card
from throughline.customer_contract.v1 import rate_card_pb2
from throughline_core.period import Period

_UNSEEN: Final = text("""
    SELECT news.rate_card_id, news.version, news.card, before.card AS card_before,
           before.is_seen IS NOT TRUE AS is_first,
           NOT EXISTS (SELECT FROM rate_card AS later
                       WHERE later.rate_card_id = news.rate_card_id
                         AND later.version > news.version) AS is_newest
    FROM rate_card AS news
    LEFT JOIN LATERAL (
        SELECT card, seen.version IS NOT NULL AS is_seen
        FROM rate_card AS before
        LEFT JOIN rerating_seen_card AS seen USING (rate_card_id, version)
        WHERE before.rate_card_id = news.rate_card_id AND before.version < news.version
        ORDER BY seen.version DESC NULLS LAST, version LIMIT 1
    ) AS before ON true
    WHERE NOT EXISTS (SELECT FROM rerating_seen_card AS seen
                      WHERE (seen.rate_card_id, seen.version) = (news.rate_card_id, news.version))
    ORDER BY news.rate_card_id, news.version
""")

_SEEN: Final = tables.insert_of(tables.rerating_seen_card, "ON CONFLICT DO NOTHING")

_PRICED_BY: Final = text("""
    SELECT legal_entity_id, count(DISTINCT source_item_id) AS items FROM billing_event
    WHERE rate_card_id = :rate_card_id AND rate_card_version < :version
      AND service_from >= :first_day AND service_from < :end_day
    GROUP BY legal_entity_id
""")

_PRICED_ELSEWHERE: Final = text("""
    SELECT event.legal_entity_id, event.contract_id, event.rate_card_id,
           count(DISTINCT source_item_id) AS items
    FROM billing_event AS event JOIN source_item AS item USING (source_item_id)
    WHERE event.rate_card_id <> :rate_card_id AND item.role = ANY(CAST(:roles AS text[]))
      AND event.service_from >= :first_day AND event.service_from < :end_day
      AND (CAST(:legal_entity_id AS uuid) IS NULL
           OR event.legal_entity_id = CAST(:legal_entity_id AS uuid))
    GROUP BY event.legal_entity_id, event.contract_id, event.rate_card_id
""")

_GIVE_UP: Final = text("""
    UPDATE rerating_run
    SET status = 'cancelled', version = version + 1, finished_at = :at,
        decision_reason = :decision_reason
    WHERE status = 'draft' AND cause = :cause AND rerating_run_id <> :rerating_run_id
      AND contract_ids = CAST(:contract_ids AS uuid[])
""")

_OVER: Final = text("""
    SELECT run.rerating_run_id FROM rerating_run AS run
    JOIN exception_item AS item ON item.subject_id = run.rerating_run_id
    WHERE item.kind = :kind AND item.closed_at IS NULL
      AND run.status IN ('applied', 'rejected', 'cancelled')
""")


async def moving_payers(
    tx: AsyncConnection, versions: Mapping[ContractId, Sequence[int]]
) -> set[ContractId]:
    """Return the contracts of which one of these versions shares the bill otherwise than before."""
    if not versions:
        return set()
    facts = await fact.load_facts(tx, versions.keys())
    return {
        contract_id
        for contract_id, agreement in facts.agreements.items()
        for before, after in pairwise(agreement.versions)
        if after.contract_version in versions[contract_id] and after.payers != before.payers
    }


@dataclass(frozen=True, slots=True)
class CardNews:
    """A card version nobody has compared yet, and the one it is to be compared with.

    That is the one compared last, and while none was the first one, None for that itself;
    `is_first` says that none was.
    """

    card: RateCard
    before: RateCard | None
    is_first: bool


async def unseen_cards(tx: AsyncConnection) -> list[CardNews]:
    """Return card versions nobody has compared yet, and note them.

    One that a later version has overtaken is noted only.
    """
    rows = (await tx.execute(_UNSEEN)).all()
    await tx.execute(
        _SEEN,
        {
            "rate_card_id": [row.rate_card_id for row in rows],
            "version": [row.version for row in rows],
        },
    )
    return [
        CardNews(
            _card_from(row.card), row.card_before and _card_from(row.card_before), row.is_first
        )
        for row in rows
        if row.is_newest
    ]


async def priced_by(
    tx: AsyncConnection, card: RateCard, days: Period
) -> Sequence[tuple[LegalEntityId, int]]:
    """Return how many things of these days an earlier version of a card priced, by entity."""
    rows = await tx.execute(
        _PRICED_BY,
        {
            "rate_card_id": card.rate_card_id,
            "version": card.version,
            "first_day": days.start,
            "end_day": days.end,
        },
    )
    return [(LegalEntityId(row.legal_entity_id), row.items) for row in rows]


async def outranked_by(
    tx: AsyncConnection, card: RateCard, days: Period
) -> dict[LegalEntityId, dict[ContractId, int]]:
    """Return how many things of these days another card priced although this one comes first.

    By entity and contract. For the first version of a card, or one that lists more roles.
    """
    rows = (
        await tx.execute(
            _PRICED_ELSEWHERE,
            {
                "rate_card_id": card.rate_card_id,
                "roles": list(card.entries),
                "legal_entity_id": card.legal_entity_id,
                "first_day": days.start,
                "end_day": days.end,
            },
        )
    ).all()
    if not rows:
        return {}
    facts = await fact.load_facts(tx, {row.contract_id for row in rows})
    found: dict[LegalEntityId, dict[ContractId, int]] = {}
    for row in rows:
        terms = facts.agreements[row.contract_id].newest
        order = [each.rate_card_id for _, each in cards_of(terms, facts.cards)]
        if card.rate_card_id not in order:
            continue
        if row.rate_card_id in order[order.index(card.rate_card_id) :]:
            of_entity = found.setdefault(LegalEntityId(row.legal_entity_id), {})
            contract_id = ContractId(row.contract_id)
            of_entity[contract_id] = of_entity.get(contract_id, 0) + row.items
    return found


async def give_up_older_drafts(tx: AsyncConnection, run: ReratingRun, *, at: datetime) -> None:
    """Cancel drafts that a run for the same contracts and cause has taken over."""
    await tx.execute(
        _GIVE_UP,
        {
            "at": at,
            "decision_reason": f"run {run.rerating_run_id} took it over",
            "cause": run.cause,
            "rerating_run_id": run.rerating_run_id,
            "contract_ids": list(run.scope.contract_ids),
        },
    )


async def over(tx: AsyncConnection, kind: str) -> Sequence[UUID]:
    """Return the runs that are over and that open exceptions of this kind name."""
    return list((await tx.execute(_OVER, {"kind": kind})).scalars())


def _card_from(card: bytes) -> RateCard:
    return read_card(rate_card_pb2.RateCard.FromString(card))
