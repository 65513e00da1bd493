"""What a quote line says of how it is billed, in the fields an org added for it."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.adapters.salesforce.org_mapping import SalesforceMapping
from connectors.adapters.salesforce.records import Record
from connectors.adapters.salesforce.refusals import QuoteUnreadable, unreadable
from throughline.common.v1 import money_pb2
from throughline.customer_contract.v1 import quote_pb2
from throughline_runtime.fields import write_decimal

_MONTHS_OF: Final = {"Monthly": 1, "Quarterly": 3, "Semiannual": 6, "Annual": 12}
_AGGREGATIONS: Final = {
    "sum": quote_pb2.USAGE_AGGREGATION_SUM,
    "max": quote_pb2.USAGE_AGGREGATION_MAX,
    "last": quote_pb2.USAGE_AGGREGATION_LAST,
}
_DECIMAL: Final = re.compile(r"\d{1,12}(\.\d{1,6})?")
_PERIOD_MONTHS_MAX: Final = 12


class ModelTerms:
    """The own fields of one line, as our messages; empty and absent where the org says nothing.

    Each raises QuoteUnreadable, naming the line and the form a field has, for what is no such
    thing.
    """

    def __init__(self, quote: Record, line: Record, mapping: SalesforceMapping) -> None:
        self._quote = quote
        self._line = line
        self._mapping = mapping

    @property
    def delivering_entity_id(self) -> str | None:
        code = self._text(self._mapping.delivering_entity_field)
        if not code:
            return None
        found = self._mapping.legal_entities.get(code)
        if found is None:
            raise self._refusal(
                f"is delivered by a company we do not know ({code})",
                "correct it there, or add it to legal_entities in the connection's mapping",
            )
        return found

    @property
    def region(self) -> str:
        return self._text(self._mapping.region_field)

    @property
    def not_to_exceed(self) -> money_pb2.Money | None:
        return self._money(self._mapping.not_to_exceed_field)

    @property
    def milestones(self) -> list[quote_pb2.MilestonePlan]:
        """The agreed milestones: one a line of text, `key | name | amount | due day`."""
        return [self._milestone(cells) for cells in self._table(self._mapping.milestones_field)]

    @property
    def period_months(self) -> int:
        """Months of a period: as the org's own field says, else by the billing frequency."""
        own = self._number(self._mapping.period_months_field)
        if own is not None:
            if own != own.to_integral_value() or not 1 <= own <= _PERIOD_MONTHS_MAX:
                raise self._refusal(
                    f"has periods of {write_decimal(own)} months",
                    f"give whole months, 1 to {_PERIOD_MONTHS_MAX}",
                )
            return int(own)
        frequency = self._line["SBQQ__BillingFrequency__c"] or "Monthly"
        months = _MONTHS_OF.get(frequency)
        if months is None:
            raise self._refusal(
                f"is billed {frequency}",
                f"set its billing frequency to one of {', '.join(_MONTHS_OF)}",
            )
        return months

    @property
    def retainer(self) -> quote_pb2.RetainerTerms | None:
        """The block of a retainer: of hours, or of the price of a period where it has none.

        Without a percentage what is left lapses; without a rate what exceeds the block waits
        until more is agreed.
        """
        hours = self._number(self._mapping.retainer_hours_field)
        carried = self._number(self._mapping.roll_over_percent_field)
        rate = self._money(self._mapping.overage_rate_field)
        if hours is None and carried is None and rate is None:
            return None
        return quote_pb2.RetainerTerms(
            period_months=self.period_months,
            hours=None if hours is None else write_decimal(hours),
            roll_over=(
                quote_pb2.RETAINER_ROLL_OVER_CARRY if carried else quote_pb2.RETAINER_ROLL_OVER_NONE
            ),
            roll_over_limit_percent=write_decimal(carried) if carried else "",
            overage=(
                quote_pb2.RETAINER_OVERAGE_HOLD if rate is None else quote_pb2.RETAINER_OVERAGE_BILL
            ),
            overage_rate=rate,
        )

    @property
    def usage(self) -> quote_pb2.UsageTerms | None:
        """What is metered; each tier is a line of text, `up to | price`, the last without end."""
        meter = self._text(self._mapping.meter_field)
        if not meter:
            return None
        included = self._number(self._mapping.included_quantity_field)
        return quote_pb2.UsageTerms(
            meter=meter,
            period_months=self.period_months,
            aggregation=_AGGREGATIONS[self._mapping.aggregations.get(meter, "sum")],
            included_quantity="" if included is None else write_decimal(included),
            tiers=[self._tier(cells) for cells in self._table(self._mapping.price_tiers_field)],
        )

    def _milestone(self, cells: list[str]) -> quote_pb2.MilestonePlan:
        form = "write one milestone a line: key | name | amount | due day as 2026-12-31, or none"
        if not 3 <= len(cells) <= 4 or not _DECIMAL.fullmatch(cells[2]):
            raise self._refusal(f"has a milestone we cannot read ({' | '.join(cells)})", form)
        key, name, amount, *rest = cells
        due_on = rest[0] if rest else ""
        if due_on and not _is_date(due_on):
            raise self._refusal(f"has a milestone due on no day ({due_on})", form)
        return quote_pb2.MilestonePlan(
            key=key, name=name, due_on=due_on or None, amount=self._as_money(Decimal(amount))
        )

    def _tier(self, cells: list[str]) -> quote_pb2.UsageTier:
        if len(cells) != 2 or not _DECIMAL.fullmatch(cells[1]):
            raise self._refusal(
                f"has a price tier we cannot read ({' | '.join(cells)})",
                "write one tier a line: up to | price, and nothing before the bar on the last",
            )
        return quote_pb2.UsageTier(up_to=cells[0], unit_price=self._as_money(Decimal(cells[1])))

    def _table(self, name: str) -> Iterator[list[str]]:
        """Yield the cells of each line of a text that says anything."""
        for row in self._text(name).splitlines():
            if row.strip():
                yield [cell.strip() for cell in row.split("|")]

    def _text(self, name: str) -> str:
        return str(self._line.get(name) or "") if name else ""

    def _number(self, name: str) -> Decimal | None:
        value = self._line.get(name) if name else None
        return None if value is None else Decimal(value)

    def _money(self, name: str) -> money_pb2.Money | None:
        amount = self._number(name)
        return None if amount is None else self._as_money(amount)

    def _as_money(self, amount: Decimal) -> money_pb2.Money:
        return money_pb2.Money(
            amount=write_decimal(amount), currency=self._quote["CurrencyIsoCode"]
        )

    def _refusal(self, text: str, advice: str) -> QuoteUnreadable:
        return unreadable(self._quote, f"has a line, {self._line['Id']}, that {text}", advice)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
