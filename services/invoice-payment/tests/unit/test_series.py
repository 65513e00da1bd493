"""Numbers, and the items they are given to."""

from datetime import UTC, date, datetime

import pytest
from invoice_payment_builders import DE01

from invoice_payment.domain.item import BillableItem
from invoice_payment.domain.series import (
    Series,
    SeriesKey,
    Taken,
    canonical,
    chained_hash,
    prefix_of,
)
from invoice_payment.wire.incoming import read_items
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline_testing.samples import sample


def test_a_number_tells_entity_kind_and_year() -> None:
    key = SeriesKey(DE01, Series.INVOICE, 2026)
    taken = Taken(key, prefix_of(key, "DE01"), first=41, count=2, last_hash="")

    assert [taken.number(index).text for index in range(2)] == [
        "INV-DE01-2026-000041",
        "INV-DE01-2026-000042",
    ]
    with pytest.raises(AssertionError):
        taken.number(2)


def test_a_series_outgrows_its_six_digits() -> None:
    taken = Taken(SeriesKey(DE01, Series.JOURNAL_ENTRY, 2026), "JE-DE01-2026-", 1_000_000, 1, "")

    assert taken.number(0).text == "JE-DE01-2026-1000000"


def test_a_hash_depends_on_the_content_and_on_the_one_before() -> None:
    content = canonical({"b": "ü", "a": 1})

    assert content == '{"a":1,"b":"ü"}'
    assert len({chained_hash("", content), chained_hash("a", content), chained_hash("", "x")}) == 3


def an_item(service_from: str, service_to: str, released_at: datetime) -> BillableItem:
    event = sample(BillingEventsReleased)
    del event.billing_events[1:]
    event.billing_events[0].service_from = service_from
    event.billing_events[0].service_to = service_to
    event.released_at.FromDatetime(released_at)
    [item] = read_items([event])
    return item


@pytest.mark.parametrize(
    ("service_from", "service_to", "released_on", "billable_on"),
    [
        pytest.param("2026-09-07", "2026-09-08", 30, date(2026, 9, 7), id="a day's work"),
        pytest.param("2026-09-01", "2026-10-01", 30, date(2026, 9, 30), id="a month in arrears"),
        pytest.param("2026-09-28", "2026-10-28", 28, date(2026, 9, 28), id="a month in advance"),
    ],
)
def test_work_is_billable_from_its_last_day_and_advances_from_their_first(
    service_from: str, service_to: str, released_on: int, billable_on: date
) -> None:
    item = an_item(service_from, service_to, datetime(2026, 9, released_on, 9, tzinfo=UTC))

    assert item.billable_on == billable_on
