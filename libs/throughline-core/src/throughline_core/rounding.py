"""The one place where a number loses digits."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

# Wider than the square of any amount held (18 integer digits, 6 decimals): products are exact.
_PRECISION: Final = 60


def round_half_away(value: Decimal, places: int) -> Decimal:
    """Round to `places` decimals, ties away from zero: 2.675 → 2.68 and -2.675 → -2.68.

    Decimal's ROUND_HALF_UP rounds the magnitude and then applies the sign, which is what
    commercial rounding asks for and what EN 16931 validators expect.

    Raises:
        ValueError: the value is NaN or infinite.
    """
    if not value.is_finite():
        raise ValueError(f"{value} cannot be rounded")
    with localcontext() as context:
        context.prec = _PRECISION
        return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def exact_product(left: Decimal, right: Decimal) -> Decimal:
    """Multiply without losing a digit to the ambient decimal context."""
    with localcontext() as context:
        context.prec = _PRECISION
        return left * right
