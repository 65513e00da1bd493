"""What rows and holds say of a thing when it is looked at again."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from billing_event.domain.hold import PERSONAL, TOLD, HoldId, HoldReason, OpenHold
from billing_event.domain.position import EventStatus, Portion, Row, Unit, one_at
from billing_event.domain.source import AGREED, SourceItem, SourceItemId
from billing_event.domain.standing import Reversal, Standing
from throughline_core.money import Money


def holds_now(
    row: Row,
    wanted: Iterable[OpenHold],
    dropping: Collection[HoldId],
    *,
    is_freed: bool,
) -> tuple[OpenHold, ...]:
    """Return the holds a row has by the facts, keeping what facts do not decide."""
    present = {hold.reason: hold for hold in row.holds}
    kept = [
        hold
        for hold in row.holds
        if (hold.reason in PERSONAL and hold.hold_id not in dropping)
        or (hold.reason is HoldReason.LIMIT_EXCEEDED and not is_freed)
    ]
    return (*kept, *(_present_or_new(present.get(hold.reason), hold) for hold in wanted))


def _present_or_new(present: OpenHold | None, wanted: OpenHold) -> OpenHold:
    return wanted if present is None or is_news(present, wanted) else present


def is_news(present: OpenHold, wanted: OpenHold) -> bool:
    """Whether a hold says something else than the present one, and not the same in other words."""
    is_told_anew = wanted.reason in TOLD and wanted.detail != present.detail
    return wanted.reason is not present.reason or is_told_anew


def is_restated(item: SourceItem, live: Sequence[Row]) -> bool:
    """Whether the rows of an agreed amount are no longer what is agreed, or no longer released.

    Time and expenses do not change after approval: they are taken back and entered anew.
    """
    if item.type not in AGREED or item.price is None:
        return False
    if not item.is_accepted and any(row.status is EventStatus.RELEASED for row in live):
        return True
    return sum_of(live).amount != item.price


def is_due(standing: Standing) -> bool:
    """Whether an agreed amount that was nothing is something again, and no other thing took it."""
    item = standing.item
    is_payable = item.type in AGREED and item.price is not None and not item.price.is_zero
    is_taken = _is_taken_by_another(standing.rows)
    return is_payable and not is_taken and item.reverses_item_id is None


def is_taken_back(original: Standing, taken: Collection[SourceItemId]) -> bool:
    return original.item.source_item_id in taken or _is_taken_by_another(original.rows)


def _is_taken_by_another(rows: Sequence[Row]) -> bool:
    """Whether another thing took these rows back, not one of them the other to be rated anew."""
    own = {row.reverses for row in rows}
    return any(row.is_taken_back and row.billing_event_id not in own for row in rows)


def waits_of(reversal: Reversal) -> OpenHold:
    item_id = reversal.item.reverses_item_id
    why = "has not arrived" if reversal.original is None else "was taken back by another before"
    return OpenHold(HoldReason.SOURCE_CHANGED, f"takes back {item_id}, which {why}")


def by_payer(rows: Iterable[Row]) -> Iterable[Sequence[Row]]:
    """Return the rows of one thing in groups that have one payer and order, and one rate an hour.

    Parts of an agreed amount have a price each, and belong together.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        rating = row.rating
        rate = rating.unit_rate if rating.unit is Unit.HOUR else None
        key = rating.bill_to_customer_id, rating.purchase_order_number, rate
        groups.setdefault(key, []).append(row)
    return groups.values()


def is_limited(row: Row) -> bool:
    return any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds)


def has_taken(row: Row) -> bool:
    """Whether a row that counts takes from limits: none stopped it, and it is not given up."""
    return not is_limited(row) and row.status is not EventStatus.WRITTEN_OFF


def is_personal(row: Row, dropping: Collection[HoldId]) -> bool:
    return any(hold.reason in PERSONAL and hold.hold_id not in dropping for hold in row.holds)


def ids_of(holds: Iterable[OpenHold]) -> list[HoldId]:
    return [hold.hold_id for hold in holds if hold.hold_id is not None]


def sum_of(rows: Sequence[Row]) -> Portion:
    amount = Money.total((row.amount for row in rows), rows[0].amount.currency)
    if rows[0].rating.unit is not Unit.HOUR:
        return one_at(amount)
    quantity = sum((row.quantity for row in rows), Decimal(0))
    return Portion(quantity, sum(row.minutes for row in rows), amount)


def negative(portion: Portion) -> Portion:
    return Portion(-portion.quantity, -portion.minutes, -portion.amount)
