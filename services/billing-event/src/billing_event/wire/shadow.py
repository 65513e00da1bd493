"""Rules to try, and what comes of them, as messages."""

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row

from billing_event.domain.job import RunStatus
from billing_event.domain.position import EventType
from billing_event.domain.shadow import ShadowRules, ShadowRun
from billing_event.wire.facts import ROUNDINGS, read_card, read_multipliers
from billing_event.wire.published import TYPES
from throughline.billing_event.v1 import shadow_service_pb2 as pb
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding
from throughline_runtime.fields import (
    EnumMap,
    read_optional_enum,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)

RUN_STATUSES: Final = EnumMap(pb.ShadowRunStatus, RunStatus)


def read_rules(rules: pb.ShadowRules) -> ShadowRules:
    """Return the rules a request names.

    Raises:
        MalformedField, UnknownCurrency: a card is not one.
    """
    rounding = None
    if rules.time_rounding_minutes:
        mode = read_optional_enum("rules.time_rounding_mode", rules.time_rounding_mode, ROUNDINGS)
        rounding = TimeRounding(rules.time_rounding_minutes, mode or RoundingMode.NEAREST)
    return ShadowRules(
        cards=tuple(map(read_card, rules.rate_cards)),
        time_rounding=rounding,
        ignores_line_rates=rules.ignore_line_rates,
        multipliers=read_multipliers(rules.multipliers) if rules.multipliers else None,
    )


def write_run(run: ShadowRun) -> pb.ShadowRun:
    """Return a run as it is replied."""
    scope = run.scope
    return pb.ShadowRun(
        shadow_run_id=str(run.shadow_run_id),
        version=run.version,
        name=run.name,
        scope=pb.ShadowScope(
            contract_id=write_id(scope.contract_id) or None,
            legal_entity_id=write_id(scope.legal_entity_id) or None,
            service_from=write_date(scope.service_from) or None,
            service_through=write_date(scope.service_through) or None,
        ),
        rules=pb.ShadowRules.FromString(run.rules),
        live=run.is_live,
        status=RUN_STATUSES.write(run.status),
        items_rated=run.items_rated,
        items_different=run.items_different,
        totals=[
            pb.ShadowTotal(
                live=write_money(Money(live, currency)),
                shadow=write_money(Money(shadow, currency)),
                difference=write_money(Money(shadow - live, currency)),
            )
            for currency, (live, shadow) in sorted((run.totals or {}).items())
        ],
        started_by=run.started_by,
        started_at=write_instant(run.started_at),
        looked_at_until=None if run.cursor_id is None else write_instant(run.cursor_at),
        finished_at=write_instant(run.finished_at),
    )


def write_difference(row: Row[Any]) -> pb.ShadowDifference:
    """Return a row of `shadow_difference` as it is replied."""
    difference = None
    if row.currency is not None:
        amount = (row.shadow_amount or Decimal(0)) - (row.live_amount or Decimal(0))
        difference = write_money(Money(amount, row.currency))
    return pb.ShadowDifference(
        source_item_id=str(row.source_item_id),
        type=TYPES.write(EventType(row.type)),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        service_from=row.service_from.isoformat(),
        person_id=write_id(row.person_id) or None,
        live=_write_outcome(
            row.live_outcome, row.live_amount, row.live_quantity, row.live_explanation, row.currency
        ),
        shadow=_write_outcome(
            row.shadow_outcome,
            row.shadow_amount,
            row.shadow_quantity,
            row.shadow_explanation,
            row.currency,
        ),
        difference=difference,
    )


def _write_outcome(
    outcome: str, amount: Decimal | None, quantity: Decimal | None, explanation: str, currency: str
) -> pb.ShadowOutcome:
    return pb.ShadowOutcome(
        outcome=outcome,
        amount=None if amount is None else write_money(Money(amount, currency)),
        quantity="" if quantity is None else write_decimal(quantity),
        explanation=explanation,
    )
