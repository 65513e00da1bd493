"""Where contract lines stand now."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.claim import ClaimKind
from billing_event.domain.hold import HoldReason
from billing_event.domain.source import ContractId
from billing_event.wire.published import REASONS, write_quantity
from throughline.billing_event.v1 import position_service_pb2 as pb
from throughline.common.v1 import money_pb2
from throughline_core.errors import InvalidArgument, NotFound
from throughline_core.money import Money
from throughline_runtime.fields import write_id, write_money
from throughline_runtime.identity import require_entity, visible_entities

_CONTRACT: Final = text("""
    SELECT contract_version, legal_entity_id FROM contract_terms
    WHERE contract_id = :contract_id ORDER BY contract_version DESC LIMIT 1
""")

_LINES: Final = text("""
    SELECT contract_line_id, unit, currency,
           sum(position.quantity) AS rated_quantity, sum(position.amount) AS rated_amount,
           sum(position.quantity) FILTER (WHERE status = 'held') AS held_quantity,
           sum(position.amount) FILTER (WHERE status = 'held') AS held_amount,
           sum(position.quantity) FILTER (WHERE status = 'eligible') AS eligible_quantity,
           sum(position.amount) FILTER (WHERE status = 'eligible') AS eligible_amount,
           sum(position.quantity) FILTER (WHERE status = 'released') AS released_quantity,
           sum(position.amount) FILTER (WHERE status = 'released') AS released_amount,
           sum(allocated_quantity) AS claimed_quantity, sum(allocated_amount) AS claimed_amount
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE contract_id = :contract_id
    GROUP BY contract_line_id, unit, currency ORDER BY contract_line_id, unit, currency
""")

_CLAIMED: Final = text("""
    SELECT contract_line_id, unit, currency, allocation.kind, sum(allocation.quantity) AS quantity,
           sum(allocation.amount) AS amount
    FROM allocation JOIN billing_event USING (billing_event_id)
    WHERE contract_id = :contract_id
    GROUP BY contract_line_id, unit, currency, allocation.kind
""")

_HELD: Final = text("""
    SELECT billing_event.contract_line_id, unit, currency, hold.reason,
           sum(quantity) AS quantity, sum(amount) AS amount
    FROM hold JOIN billing_event USING (billing_event_id)
    WHERE billing_event.contract_id = :contract_id AND hold.cleared_at IS NULL
    GROUP BY billing_event.contract_line_id, unit, currency, hold.reason ORDER BY hold.reason
""")

_UNRATED: Final = text("""
    SELECT hold.contract_line_id, hold.reason, count(*) AS items, sum(minutes) AS minutes
    FROM hold JOIN source_item USING (source_item_id)
    WHERE hold.contract_id = :contract_id AND hold.billing_event_id IS NULL
      AND hold.cleared_at IS NULL
    GROUP BY hold.contract_line_id, hold.reason ORDER BY hold.contract_line_id, hold.reason
""")

_ZONES: Final = text("SELECT DISTINCT time_zone FROM contract_terms")


class ContractNotFound(NotFound):
    """Neither terms nor work of such a contract have arrived."""

    code = "contract.not_found"


class DayNotOver(InvalidArgument):
    """Work in progress is only final once the day is over everywhere."""

    code = "wip.day_not_over"


async def contract_position(
    tx: AsyncConnection, contract_id: ContractId
) -> pb.GetContractPositionResponse:
    """Return where each line of a contract stands.

    Raises:
        ContractNotFound: neither its terms nor work under it have arrived.
        EntityForbidden: the caller may not see its legal entity.
    """
    of_contract = {"contract_id": contract_id}
    terms = (await tx.execute(_CONTRACT, of_contract)).one_or_none()
    if terms is not None:
        require_entity(terms.legal_entity_id)
    unrated = (await tx.execute(_UNRATED, of_contract)).all()
    # Without terms nobody can say whose contract it is: only who may see all entities is told.
    if terms is None and (not unrated or visible_entities() is not None):
        raise ContractNotFound(f"contract {contract_id} is not known", field="contract_id")
    held: dict[tuple[Any, ...], list[Row[Any]]] = {}
    for row in await tx.execute(_HELD, of_contract):
        held.setdefault((row.contract_line_id, row.unit, row.currency), []).append(row)
    lines = (await tx.execute(_LINES, of_contract)).all()
    claimed: dict[tuple[Any, ...], dict[str, Row[Any]]] = {}
    for row in await tx.execute(_CLAIMED, of_contract):
        key = row.contract_line_id, row.unit, row.currency
        claimed.setdefault(key, {})[row.kind] = row
    return pb.GetContractPositionResponse(
        contract_id=str(contract_id),
        contract_version=terms.contract_version if terms else 0,
        legal_entity_id=write_id(terms.legal_entity_id if terms else None),
        lines=[
            _write_line(row, held.get(key, ()), claimed.get(key, {}))
            for row in lines
            for key in [(row.contract_line_id, row.unit, row.currency)]
        ],
        unrated=[
            pb.UnratedWork(
                contract_line_id=write_id(row.contract_line_id) or None,
                reason=REASONS.write(HoldReason(row.reason)),
                items=row.items,
                minutes=row.minutes,
            )
            for row in unrated
        ],
    )


async def zones(tx: AsyncConnection) -> list[str]:
    """Return the time zones of all contracts known."""
    return list((await tx.execute(_ZONES)).scalars())


def require_over(as_of: date, *, settled: datetime, zones: Iterable[str]) -> None:
    """Check that at the instant `settled` a day was over in each of the zones.

    Raises:
        DayNotOver: it was still going on somewhere.
    """
    if as_of >= min(settled.astimezone(ZoneInfo(zone)).date() for zone in ("UTC", *zones)):
        raise DayNotOver(
            f"{as_of} is not over in every zone",
            field="as_of",
            advice="ask for an earlier day; of a contract, GET /v1/contracts/{contract_id}/position"
            " has the present",
        )


def _write_line(
    row: Row[Any], held: Iterable[Row[Any]], claimed: Mapping[str, Row[Any]]
) -> pb.LinePosition:
    def figure(quantity: Decimal | None, amount: Decimal | None) -> pb.Figure:
        return pb.Figure(
            quantity=write_quantity(quantity or Decimal(0), row.unit),
            amount=_money(amount, row.currency),
        )

    def claims(*kinds: ClaimKind, sign: int = 1) -> pb.Figure:
        found = [claimed[kind] for kind in kinds if kind in claimed]
        return figure(
            sign * sum((each.quantity for each in found), Decimal(0)),
            sign * sum((each.amount for each in found), Decimal(0)),
        )

    return pb.LinePosition(
        contract_line_id=str(row.contract_line_id),
        unit=row.unit,
        rated=figure(row.rated_quantity, row.rated_amount),
        held=figure(row.held_quantity, row.held_amount),
        held_by_reason=[
            pb.HeldFigure(
                reason=REASONS.write(HoldReason(each.reason)),
                figure=figure(each.quantity, each.amount),
            )
            for each in held
        ],
        eligible=figure(row.eligible_quantity, row.eligible_amount),
        released=figure(row.released_quantity, row.released_amount),
        invoiced=claims(ClaimKind.INVOICE, ClaimKind.CREDIT),
        credited=claims(ClaimKind.CREDIT, sign=-1),
        written_off=claims(ClaimKind.WRITE_OFF),
        drawn=claims(ClaimKind.RETAINER),
        open=figure(
            row.rated_quantity - row.claimed_quantity, row.rated_amount - row.claimed_amount
        ),
    )


def _money(amount: Decimal | None, currency: str) -> money_pb2.Money:
    return write_money(Money(amount or Decimal(0), currency))
