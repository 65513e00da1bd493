"""Which period a reading counts for, and what the units of a period cost."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from billing_event_builders import CONTRACT, HOURS, a_line, an_agreement, eur, some_terms

from billing_event.domain.agreement import Ending
from billing_event.domain.reading import (
    Known,
    LineNotFound,
    MeterAmbiguous,
    NothingToCorrect,
    NotMetered,
    OutsideTerm,
    Reading,
    RecordDiffers,
    RecordRepeated,
    RecordStatus,
    UsageRecord,
    UsageRecordId,
    decide,
    record_of,
)
from billing_event.domain.source import SourceRef
from billing_event.domain.terms import Aggregation, BillingModel, LineTerms, UsageTerms, UsageTier
from billing_event.domain.usage import Metered, charge, plan_usage
from throughline_core.ids import derived_id
from throughline_core.period import Period


def some_usage(**different: Any) -> UsageTerms:
    terms: dict[str, Any] = {
        "meter": "api_calls",
        "period_months": 1,
        "aggregation": Aggregation.SUM,
        "included": Decimal(100),
        "tiers": (UsageTier(Decimal(50), eur("5.00")), UsageTier(None, eur("4.00"))),
    }
    return UsageTerms(**(terms | different))


def a_metered_line(**different: Any) -> LineTerms:
    line: dict[str, Any] = {
        "billing_model": BillingModel.USAGE,
        "rates": {},
        "usage": some_usage(),
        "description": "API",
    }
    return a_line(**(line | different))


def metered(quantity: str) -> Metered:
    return Metered(Decimal(quantity), Decimal(quantity), Decimal(quantity), 1)


@pytest.mark.parametrize(
    ("quantity", "amount", "tiers"),
    [
        ("0", "0", []),
        ("100", "0", []),
        ("120", "100.00", ["20"]),
        ("150", "250.00", ["50"]),
        ("170.5", "332.00", ["50", "20.5"]),
    ],
)
def test_units_over_the_included_ones_cost_each_tiers_own_price(
    quantity: str, amount: str, tiers: list[str]
) -> None:
    found = charge(some_usage(), metered(quantity), contract_version=1)
    assert found.amount == eur(amount)
    assert [f"{tier.quantity.normalize():f}" for tier in found.tiers] == tiers
    assert sum((tier.amount.amount for tier in found.tiers), Decimal(0)) == found.amount.amount


def test_the_charge_is_rounded_once_and_says_how_it_came_about() -> None:
    tiers = (UsageTier(Decimal(3), eur("0.333333")), UsageTier(None, eur("0.222222")))
    found = charge(some_usage(included=Decimal(0), tiers=tiers), metered("4"), contract_version=1)
    assert found.amount == eur("1.22")  # 0.999999 + 0.222222
    assert found.explanation == (
        "sum of 1 reading of api_calls: 4; 3 x 0.333333 EUR + 1 x 0.222222 EUR = 1.22 EUR"
    )


@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [(Aggregation.SUM, "60"), (Aggregation.MAX, "30"), (Aggregation.LAST, "20")],
)
def test_readings_are_summed_or_the_greatest_or_the_last_counts(
    aggregation: Aggregation, quantity: str
) -> None:
    usage = some_usage(aggregation=aggregation, included=Decimal(0))
    found = charge(usage, Metered(Decimal(60), Decimal(30), Decimal(20), 3), contract_version=1)
    assert found.quantity == Decimal(quantity)


def a_reading(**different: Any) -> Reading:
    fields: dict[str, Any] = {
        "contract_id": CONTRACT,
        "contract_line_id": HOURS,
        "meter": "",
        "quantity": Decimal(1),
        "measured_at": datetime(2026, 9, 7, 12, tzinfo=UTC),
        "unit": "",
        "source": None,
        "corrects": False,
    }
    return Reading(**(fields | different))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-09-30T21:59:59", date(2026, 9, 30)),
        ("2026-09-30T22:00:00", date(2026, 10, 1)),
        # The night the clocks go back: midnight of 26 October is an hour earlier in UTC.
        ("2026-10-25T22:59:59", date(2026, 10, 25)),
        ("2026-10-25T23:00:00", date(2026, 10, 26)),
    ],
)
def test_the_contracts_zone_decides_the_day_of_a_reading(instant: str, day: date) -> None:
    at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    agreement = an_agreement(some_terms(a_metered_line()))
    assert agreement.newest.time_zone == str(ZoneInfo("Europe/Berlin"))
    assert record_of(a_reading(measured_at=at), agreement).measured_on == day


def test_a_reading_is_for_the_line_of_the_contract_that_has_the_meter() -> None:
    other = a_metered_line(contract_line_id=CONTRACT, usage=some_usage(meter="storage"))
    both = an_agreement(some_terms(a_metered_line(), other))
    found = record_of(a_reading(contract_line_id=None, meter="storage"), both)
    assert found.contract_line_id == CONTRACT
    with pytest.raises(MeterAmbiguous):
        record_of(a_reading(contract_line_id=None), both)
    with pytest.raises(LineNotFound):
        record_of(a_reading(contract_line_id=None, meter="seats"), both)
    with pytest.raises(NotMetered):
        record_of(a_reading(meter="storage"), both)
    with pytest.raises(NotMetered):
        record_of(a_reading(), an_agreement(some_terms()))


def test_a_line_takes_readings_of_its_term_until_it_or_the_contract_ends() -> None:
    in_september = a_reading()
    record_of(in_september, an_agreement(some_terms(a_metered_line())))
    ended = an_agreement(some_terms(a_metered_line(ended_on=date(2026, 9, 7))))
    over = an_agreement(
        some_terms(a_metered_line()), ending=Ending(date(2026, 9, 7), True, "terminated")
    )
    for agreement in (ended, over):
        with pytest.raises(OutsideTerm):
            record_of(in_september, agreement)


def test_periods_keep_their_anchor_day_and_are_cut_by_the_term() -> None:
    line = a_metered_line(
        anchor_day=31, term=Period(date(2027, 1, 31), date(2027, 4, 15)), usage=some_usage()
    )
    periods = plan_usage(an_agreement(some_terms(line)))
    assert [(each.service.start, each.service.end) for each in periods] == [
        (date(2027, 1, 31), date(2027, 2, 28)),
        (date(2027, 2, 28), date(2027, 3, 31)),
        (date(2027, 3, 31), date(2027, 4, 15)),
    ]
    assert len({each.usage_period_id for each in periods}) == 3


def a_record(quantity: str = "1", revision: int = 1) -> UsageRecord:
    source = SourceRef("monitoring", "sample", "S-1")
    record = record_of(
        a_reading(quantity=Decimal(quantity), source=source),
        an_agreement(some_terms(a_metered_line())),
    )
    record_id = UsageRecordId(derived_id("usage_record", record.record_key, revision))
    return replace(record, usage_record_id=record_id, revision=revision)


def test_the_same_reading_again_adds_nothing_and_another_one_has_to_say_that_it_corrects() -> None:
    known = Known(a_record("1"), RecordStatus.COUNTED)
    assert decide(a_record("1"), False, known, None) is None
    with pytest.raises(RecordDiffers):
        decide(a_record("2"), False, known, None)
    assert decide(a_record("2"), True, known, None) == a_record("2", revision=2)


def test_a_withdrawn_reading_comes_back_only_as_a_correction() -> None:
    known = Known(a_record("1"), RecordStatus.WITHDRAWN)
    with pytest.raises(RecordDiffers):
        decide(a_record("1"), False, known, None)
    assert decide(a_record("1"), True, known, None) == a_record("1", revision=2)


def test_a_correction_of_nothing_and_two_versions_in_one_request_are_refused() -> None:
    with pytest.raises(NothingToCorrect):
        decide(a_record("1"), True, None, None)
    assert decide(a_record("1"), False, None, a_record("1")) is None
    with pytest.raises(RecordRepeated):
        decide(a_record("2"), False, None, a_record("1"))
