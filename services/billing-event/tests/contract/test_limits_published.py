"""What is told of limits and retainers is what its consumers agreed to."""

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from billing_event_builders import CONTRACT, ENTITY, HOURS, NOW, SUPPORT, an_id, eur

from billing_event.domain.limit import LimitAccountId, LimitScope
from billing_event.domain.limit_terms import Limit
from billing_event.domain.limit_usage import Usage, alert_of
from billing_event.wire import limits, retainers
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline_testing.samples import assert_matches_sample


def test_a_threshold_is_published_as_agreed() -> None:
    line = Limit(
        LimitAccountId(an_id("1a01")),
        LimitScope.CONTRACT_LINE,
        ENTITY,
        eur("60000.00"),
        CONTRACT,
        1,
        contract_line_id=HOURS,
    )
    usage = Usage(
        limit=line,
        name="the contract line",
        agreed=Decimal("60000.00"),
        enforced=Decimal("60000.00"),
        taken=Decimal("48240.00"),
        tolerance_percent=Decimal(0),
        is_hard=True,
        alert_percents=(80, 100),
        alerted_percent=0,
        alert_version=0,
    )
    alert = alert_of(usage)
    assert alert is not None
    [crossing] = alert.crossings
    event = limits.threshold_reached(crossing, at=NOW)
    assert (event.aggregate_id, event.aggregate_version) == (line.limit_account_id, 1)
    assert_matches_sample(event, own.LimitThresholdReached)


def test_a_closed_period_of_a_retainer_is_published_as_agreed() -> None:
    row = SimpleNamespace(
        retainer_period_id=an_id("1f1"),
        contract_id=CONTRACT,
        contract_line_id=SUPPORT,
        legal_entity_id=ENTITY,
        engagement_id=an_id("f1"),
        correlation_id=an_id("f2"),
        period_from=date(2026, 9, 1),
        period_to=date(2026, 10, 1),
        status="closed",
        unit="hour",
        granted=Decimal(20),
        carried_in=Decimal(0),
        drawn=Decimal(14),
        carried_out=Decimal(4),
        lapsed=Decimal(2),
        balance=Decimal(0),
        price=Decimal("2500.00"),
        currency="EUR",
        carry_expires_on=None,
        version=4,
        closed_at=datetime(2026, 10, 1, 4, tzinfo=UTC),
        overdrawn=Decimal(0),
    )
    event = retainers.period_changed(cast(Any, row), lapsed=Decimal(250))
    assert (event.aggregate_id, event.aggregate_version) == (row.retainer_period_id, 4)
    assert_matches_sample(event, own.RetainerPeriodChanged)
