"""Invoice arithmetic: in which order amounts are rounded, summed and taxed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from throughline_core.money import Money


class RoundingPolicy(StrEnum):
    """A named order of rounding; the one in force is stored on the invoice it shaped."""

    EN16931 = "en16931"
    """Lines rounded and summed exactly; tax once for each code and rate, on the sum of its lines
    (EN 16931-1, BR-CO-10, BR-CO-14, BR-CO-17)."""
    PER_LINE = "per_line"
    """Lines rounded; tax rounded on each line and summed."""
    PRECISE_SUM = "precise_sum"
    """Exact lines summed; net and tax of each code and rate rounded once."""


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    """How a supply is taxed: EN 16931 category code, percent, and why no tax is due, if none is."""

    tax_code: str
    rate_percent: Decimal
    exemption_reason: str = ""

    def taxes_as(self, other: "TaxTreatment | None") -> bool:
        """Return whether the other is the same tax, whatever is said of the reason for none."""
        return other is not None and (self.tax_code, self.rate_percent) == (
            other.tax_code,
            other.rate_percent,
        )


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """What the arithmetic needs of an invoice line."""

    quantity: Decimal
    unit_rate: Money
    treatment: TaxTreatment

    @property
    def exact(self) -> Money:
        """Quantity times unit rate, unrounded."""
        return self.unit_rate * self.quantity

    @property
    def net(self) -> Money:
        """The amount the line prints."""
        return line_net(self.quantity, self.unit_rate)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """Tax on all lines of one code and rate."""

    tax_code: str
    rate_percent: Decimal
    base: Money
    tax: Money
    exemption_reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums at the foot of an invoice; tax is zero, without groups, while it is unknown."""

    net: Money
    tax: Money
    groups: tuple[TaxGroup, ...]

    @property
    def gross(self) -> Money:
        """Net and tax: what has to be paid."""
        return self.net + self.tax


def line_net(quantity: Decimal, unit_rate: Money) -> Money:
    """Return the amount a line prints: printed quantity times printed rate, rounded once."""
    return (unit_rate * quantity).rounded()


def totals_of(lines: Sequence[TaxedLine], policy: RoundingPolicy, currency: str) -> Totals:
    """Return the totals of an invoice over `lines`, all in `currency`, in the order of `policy`."""
    by_rate: dict[tuple[str, Decimal], list[TaxedLine]] = defaultdict(list)
    for line in lines:
        by_rate[line.treatment.tax_code, line.treatment.rate_percent].append(line)
    groups = tuple(_group(by_rate[key], policy, currency) for key in sorted(by_rate))
    return Totals(
        net=Money.total((group.base for group in groups), currency),
        tax=Money.total((group.tax for group in groups), currency),
        groups=groups,
    )


def untaxed(net: Money) -> Totals:
    """Return the totals while no tax can be told yet."""
    return Totals(net, Money.zero(net.currency), ())


def _group(lines: Sequence[TaxedLine], policy: RoundingPolicy, currency: str) -> TaxGroup:
    treatment = lines[0].treatment
    share = treatment.rate_percent / 100
    if policy is RoundingPolicy.PRECISE_SUM:
        exact = Money.total((line.exact for line in lines), currency)
        base, tax = exact.rounded(), (exact * share).rounded()
    else:
        nets = [line.net for line in lines]
        base = Money.total(nets, currency)
        tax = (base * share).rounded()
        if policy is RoundingPolicy.PER_LINE:
            tax = Money.total(((net * share).rounded() for net in nets), currency)
    reasons = dict.fromkeys(line.treatment.exemption_reason for line in lines)
    return TaxGroup(
        treatment.tax_code,
        treatment.rate_percent,
        base,
        tax,
        "; ".join(reason for reason in reasons if reason),
    )
