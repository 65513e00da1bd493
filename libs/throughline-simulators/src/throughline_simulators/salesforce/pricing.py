"""CPQ's prices: lines at once, a quote's totals when the recalculation gets to them.

The price waterfall is shortened to list price, uplift, percentage discount, amount discount.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypedDict

from throughline_simulators.salesforce.objects import QUOTE, QUOTE_LINE, QUOTE_LINE_GROUP
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.schema import Field, SObject
from throughline_simulators.salesforce.values import Record, Value
from throughline_simulators.store import Collection

PRICE_INPUTS: Final = frozenset(
    {
        "SBQQ__ListPrice__c", "SBQQ__Discount__c", "SBQQ__AdditionalDiscountAmount__c",
        "SBQQ__Uplift__c", "SBQQ__Bundled__c",
    }
)  # fmt: skip
_TOTALS: Final = frozenset({"SBQQ__NetAmount__c", "SBQQ__ListAmount__c", "SBQQ__CustomerAmount__c"})
_CENT: Final = Decimal("0.01")
_ZERO: Final = Decimal("0.00")


class Calculation(TypedDict):
    """A recalculation under way; it ends with the last low read or at the due Unix time."""

    reads_left: int | None
    due_at: float | None


def price_line(line: Record, changed: frozenset[str]) -> dict[str, Value]:
    """Return the calculated fields of a line after the fields `changed` were written."""
    bundled = line.get("SBQQ__Bundled__c") is True
    net_price = line.get("SBQQ__NetPrice__c")
    if bundled:
        net_price = _ZERO
    elif not isinstance(net_price, Decimal) or (
        "SBQQ__NetPrice__c" not in changed and changed & PRICE_INPUTS
    ):
        net_price = _discounted(line)
    total = _decimal(line, "SBQQ__Quantity__c") * net_price
    return {"SBQQ__NetPrice__c": net_price, "SBQQ__NetTotal__c": _to_cents(total)}


class Pricing:
    """Totals of quotes and groups, with the lag that the switches ask for."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._running: Collection[Calculation] = Collection(org.store, "salesforce.calculation")
        self._read: set[str] = set()
        self._loading: set[str] | None = None

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Put off recalculation to the end of a load; there it is complete and moves no stamp."""
        self._loading = set()
        try:
            yield
        finally:
            loaded, self._loading = self._loading, None
            for quote_id in sorted(loaded):
                self._total_groups(quote_id, restamp=False)
                self._finish(quote_id, restamp=False)

    def recalculate(self, quote_id: str) -> None:
        """Bring a quote's totals up to date, or show low ones until the recalculation ends."""
        if self._loading is not None:
            self._loading.add(quote_id)
            return
        self._total_groups(quote_id)
        switches = self._org.switches
        if not switches.recalculation_reads and not switches.recalculation_seconds:
            self._finish(quote_id)
            return
        due_at = None
        if switches.recalculation_seconds:
            due_at = self._org.clock.now().timestamp() + switches.recalculation_seconds
        self._running.put(
            quote_id, {"reads_left": switches.recalculation_reads or None, "due_at": due_at}
        )
        self._write_totals(quote_id, complete=False)

    def note_read(self, entity: SObject, record: Record, fields: Sequence[Field]) -> None:
        """Remember that a quote's totals are being shown to a caller."""
        if entity.name == QUOTE and any(field.name in _TOTALS for field in fields):
            self._read.add(str(record["Id"]))

    def finish_due(self) -> None:
        """End the recalculations whose time has come; called before anything is read."""
        now = self._org.clock.now().timestamp()
        for quote_id, running in self._running.items():
            if running["due_at"] is not None and running["due_at"] <= now:
                self._finish(quote_id)

    def finish_read(self) -> None:
        """Count the quotes just shown and end the recalculations seen often enough."""
        read, self._read = self._read, set()
        for quote_id in read:
            running = self._running.get(quote_id)
            if running is None or running["reads_left"] is None:
                continue
            left = running["reads_left"] - 1
            if left == 0:
                self._finish(quote_id)
            else:
                self._running.put(quote_id, {**running, "reads_left": left})

    def _finish(self, quote_id: str, *, restamp: bool = True) -> None:
        self._running.remove(quote_id)
        self._write_totals(quote_id, complete=True, restamp=restamp)

    def _write_totals(self, quote_id: str, *, complete: bool, restamp: bool = True) -> None:
        quote = self._org.find(self._org.require(QUOTE), quote_id)
        if quote is None:
            return
        lines = [
            line for line in self._lines(quote_id) if line.get("SBQQ__Optional__c") is not True
        ]
        nets = [_decimal(line, "SBQQ__NetTotal__c") for line in lines]
        lists = [
            _to_cents(_decimal(line, "SBQQ__ListPrice__c") * _decimal(line, "SBQQ__Quantity__c"))
            for line in lines
            if line.get("SBQQ__Bundled__c") is not True
        ]
        total = _sum if complete else _too_low
        self._org.write(
            self._org.require(QUOTE),
            quote,
            {
                "SBQQ__NetAmount__c": total(nets),
                "SBQQ__CustomerAmount__c": total(nets),
                "SBQQ__ListAmount__c": total(lists),
                "SBQQ__LineItemCount__c": Decimal(len(self._lines(quote_id))),
            },
            by_user=False,
            restamp=restamp,
        )

    def _total_groups(self, quote_id: str, *, restamp: bool = True) -> None:
        groups = self._org.require(QUOTE_LINE_GROUP)
        lines = self._lines(quote_id)
        for group in self._org.live(groups):
            if group.get("SBQQ__Quote__c") != quote_id:
                continue
            nets = [
                _decimal(line, "SBQQ__NetTotal__c")
                for line in lines
                if line.get("SBQQ__Group__c") == group["Id"]
                and line.get("SBQQ__Optional__c") is not True
            ]
            total: Record = {"SBQQ__NetTotal__c": _sum(nets)}
            if group.get("SBQQ__NetTotal__c") != _sum(nets):
                self._org.write(groups, group, total, by_user=False, restamp=restamp)

    def _lines(self, quote_id: str) -> list[Record]:
        lines = self._org.live(self._org.require(QUOTE_LINE))
        return [line for line in lines if line.get("SBQQ__Quote__c") == quote_id]


def _discounted(line: Record) -> Decimal:
    hundred = Decimal(100)
    price = _decimal(line, "SBQQ__ListPrice__c")
    price *= (hundred + _decimal(line, "SBQQ__Uplift__c")) / hundred
    price *= (hundred - _decimal(line, "SBQQ__Discount__c")) / hundred
    return _to_cents(price - _decimal(line, "SBQQ__AdditionalDiscountAmount__c"))


def _sum(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)


def _too_low(amounts: Sequence[Decimal]) -> Decimal:
    """Return what a read in mid-calculation sees: too little, and not zero."""
    counted = [amount for amount in amounts if amount]
    if len(counted) > 1:
        return _sum(counted[:-1])
    return _to_cents(_sum(counted) / 2)


def _to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP)


def _decimal(record: Record, name: str) -> Decimal:
    value = record.get(name)
    return value if isinstance(value, Decimal) else _ZERO
