"""How a row came to be, in sentences by which anybody can work its amount out again."""

from collections.abc import Iterator
from decimal import Decimal

from billing_event.domain.position import RateRule, Row, Treatment, Unit
from throughline_core.money import Money
from throughline_core.quantity import EXACT_MINUTES, RoundingMode, TimeRounding
from throughline_core.rounding import exact_product

_ROUNDED = {RoundingMode.UP: "up", RoundingMode.DOWN: "down"}


def steps_of(row: Row) -> Iterator[str]:
    """Yield what the row corrects, how its price was found, its quantity, and the amount of both.

    Rows from before the figures were kept tell of them only in words.
    """
    if row.reverses is not None:
        yield f"Takes back {row.reverses}, at the rate and terms frozen on that row."
    if row.adjusts is not None:
        yield f"Posts to {row.adjusts} the difference that re-rating found."
    yield f"Rate: {row.rating.explanation}."
    if row.rating.unit is Unit.HOUR:
        yield f"Time: {_hours_of(row)}."
    base = row.rating.base_rate
    if base is not None and base != row.rating.unit_rate:
        yield f"Price: {_price_of(row, base)}."
    if row.rating.share_percent is not None:
        yield f"Share: {_share_of(row, row.rating.share_percent)}."
    price = str(row.rating.unit_rate)
    yield f"Amount: {_quantity_of(row)} times {price} is {row.amount}."
    if row.rating.treatment is Treatment.DRAWN:
        yield "A retainer pays for it: it is not invoiced by itself."
    elif row.rating.treatment is Treatment.PREPAYMENT:
        yield "It is invoiced in advance and earned as the retainer is drawn on."


def _hours_of(row: Row) -> str:
    rounding, recorded = row.rating.rounding, abs(row.item.minutes)
    rounded = "" if rounding is None else _rounding_words(rounding)
    if abs(row.minutes) == recorded:
        return f"{recorded} minutes recorded{rounded}: {_quantity_of(row)}"
    return (
        f"of {recorded} minutes recorded{rounded}, {row.minutes} are of this row:"
        f" {_quantity_of(row)}"
    )


def _rounding_words(rounding: TimeRounding) -> str:
    if rounding == EXACT_MINUTES:
        return ""
    how = _ROUNDED.get(rounding.mode, "to the nearest")
    multiple = "" if rounding.mode is RoundingMode.NEAREST else " to a"
    return f", rounded {how}{multiple} multiple of {rounding.increment_minutes}"


def _price_of(row: Row, base: Money) -> str:
    """Return the way from the price that was found to the price of a unit."""
    rating, item = row.rating, row.item
    words, price = str(base), base.amount
    if rating.multiplier is not None:
        price = exact_product(price, rating.multiplier)
        words = f"{words}, times {rating.multiplier.normalize():f} for {item.activity}"
    conversion = rating.conversion
    if conversion is not None:
        price = exact_product(price, conversion.rate)
        words = (
            f"{words}, times {conversion.rate.normalize():f} by {conversion.source} of"
            f" {conversion.rate_on}"
        )
    if rating.rule is RateRule.COST_PLUS:
        words = f"{words}, with the markup of the line"
    elif rating.unit is Unit.HOUR and price != rating.unit_rate.amount:
        words = f"{words}, rounded"
    if rating.unit is not Unit.HOUR and rating.share_percent is not None:
        return words
    is_agreed = rating.rule in (RateRule.AGREED, RateRule.USAGE_TIER) and conversion is None
    is_cut = is_agreed and price != rating.unit_rate.amount
    part = ", of which this row bills" if is_cut else ":"
    return f"{words}{part} {rating.unit_rate}"


def _share_of(row: Row, percent: Decimal) -> str:
    what = "of the hours" if row.rating.unit is Unit.HOUR else "of that"
    part = _quantity_of(row) if row.rating.unit is Unit.HOUR else str(row.rating.unit_rate)
    if not percent:
        return f"this payer bears an agreed amount before the others do, {what} {part}"
    share = f"{percent.normalize():f} %"
    return f"this payer bears {share} {what}, the rounding payer what is left over: {part}"


def _quantity_of(row: Row) -> str:
    if row.rating.unit is Unit.HOUR:
        return f"{row.quantity:.2f} hours"
    return f"{row.quantity.normalize():f}"
