"""Compares what clients were promised with what every part of the platform has made of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from e2e_deals import Deal

from faults.ledger import Ledger, expense_amount, hours_amount
from faults.month_end import MonthEnd
from faults.persistent import Persistent
from throughline_cli.api import Document

_PAGE: Final = 500
_CENTS: Final = 100
_SHOWN_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Station:
    """What arrived at one place on the way from the client to the books."""

    name: str
    rows: int
    amount: Decimal
    lost: int
    doubled: int
    cents_off: Decimal

    @property
    def is_exact(self) -> bool:
        return not (self.lost or self.doubled or self.cents_off)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The stations, the invariants that do not hold, and anything else that is wrong."""

    stations: Sequence[Station]
    broken_invariants: Sequence[str]

    @property
    def money_is_exact(self) -> bool:
        return all(station.is_exact for station in self.stations)


async def judge(
    rest: Persistent,
    ledger: Ledger,
    deals: Sequence[Deal],
    month_end: MonthEnd,
    reconciliation: Document,
) -> Verdict:
    """Follow every accepted thing by name through approval, rating, invoices and books."""
    promised = {promise.name: promise.amount for promise in ledger}
    approved = [row for deal in deals for row in await _approved(rest, deal)]
    name_of = {source_id: name for source_id, name, _ in approved}
    rated = [
        (name_of.get(str(row["source_item_id"]), "unknown"), _amount(row))
        for deal in deals
        async for row in rest.pages(
            "finance",
            "/v1/billing-events",
            "billing_events",
            contract_id=deal.contract_id,
            page_size=_PAGE,
        )
    ]
    billed = [
        (name_of.get(str(item["source_item_id"]), "unknown"), _amount(item))
        for invoice in month_end.invoices
        async for item in rest.pages(
            "finance",
            f"/v1/invoices/{invoice['invoice_id']}/items",
            "items",
            page_size=_PAGE,
        )
    ]
    stations = (
        _station("approved", promised, ((name, amount) for _, name, amount in approved)),
        _station("rated", promised, rated),
        _station("on invoices", promised, billed),
        await _books(rest, ledger, deals[0].legal_entity_id, month_end),
        await _reports(rest, ledger, deals),
    )
    return Verdict(stations, _broken(reconciliation))


async def _approved(rest: Persistent, deal: Deal) -> list[tuple[str, str, Decimal]]:
    """Return id, name and amount of everything approved under a deal."""
    rows = [
        (
            each["entry"]["time_entry_id"],
            each["entry"]["note"],
            hours_amount(each["entry"]["minutes"]),
        )
        async for each in rest.pages(
            "pmo",
            "/v1/time-entries",
            "time_entries",
            contract_id=deal.contract_id,
            status="approved",
            page_size=_PAGE,
        )
    ]
    async for report in rest.pages(
        "pmo",
        "/v1/expense-reports",
        "expense_reports",
        project_id=deal.project_id,
        status="approved",
    ):
        rows += [
            (line["expense_line_id"], line["description"], _marked_up(line))
            for line in report["lines"]
        ]
    async for milestone in rest.pages(
        "pmo", "/v1/milestones", "milestones", contract_id=deal.contract_id, status="accepted"
    ):
        rows.append((milestone["milestone_id"], milestone["milestone_id"], _amount(milestone)))
    return rows


def _station(
    name: str, promised: Mapping[str, Decimal], found: Iterable[tuple[str, Decimal]]
) -> Station:
    """Compare by name: what is missing, what is there twice or was never promised."""
    rows = list(found)
    counts = Counter(row_name for row_name, _ in rows)
    amount = sum((amount for _, amount in rows), Decimal(0))
    return Station(
        name=name,
        rows=len(rows),
        amount=amount,
        lost=len(promised.keys() - counts.keys()),
        doubled=sum(
            count - (1 if row_name in promised else 0) for row_name, count in counts.items()
        ),
        cents_off=abs(amount - sum(promised.values(), Decimal(0))) * _CENTS,
    )


async def _books(rest: Persistent, ledger: Ledger, entity_id: str, month_end: MonthEnd) -> Station:
    """Every account of the drill's entity has the balance that the clients' ledger asks for."""
    reply = await rest.get("finance", f"/v1/trial-balances/{entity_id}")
    found: dict[str, Decimal] = {}
    for line in reply["lines"]:
        role = line["account_role"]
        found[role] = found.get(role, Decimal(0)) + Decimal(line["balance"]["amount"])
    wanted = {
        "revenue": -ledger.amount,
        "contract_asset": Decimal(0),
        "receivable": ledger.gross - month_end.paid,
        "cash": month_end.paid,
        "unapplied_cash": Decimal(0),
        "tax_payable": ledger.amount - ledger.gross,
        "rounding": Decimal(0),
    }
    differences = (
        abs(found.get(role, Decimal(0)) - wanted.get(role, Decimal(0)))
        for role in found.keys() | wanted.keys()
    )
    return Station(
        name="revenue in the books",
        rows=len(reply["lines"]),
        amount=-found.get("revenue", Decimal(0)),
        lost=0,
        doubled=0,
        cents_off=sum(differences, Decimal(0)) * _CENTS,
    )


async def _reports(rest: Persistent, ledger: Ledger, deals: Sequence[Deal]) -> Station:
    """Positions as reporting has them, from events alone."""
    positions = [
        position
        for deal in deals
        async for position in rest.pages(
            "finance", "/v1/positions", "positions", contract_id=deal.contract_id
        )
    ]
    invoiced = sum((Decimal(position["invoiced"]) for position in positions), Decimal(0))
    return Station(
        name="invoiced in reports",
        rows=len(positions),
        amount=invoiced,
        lost=0,
        doubled=0,
        cents_off=abs(invoiced - ledger.amount) * _CENTS,
    )


def _broken(reconciliation: Document) -> list[str]:
    """Return the invariants that do not hold, each with some of its differences."""
    return [
        f"{invariant['rule']}: " + "; ".join(_differences(invariant))
        for invariant in reconciliation["invariants"]
        if not invariant["holds"]
    ]


def _differences(invariant: Document) -> list[str]:
    told = [
        f"{each['left_name']} {each['figure']} {each['left']}, {each['right_name']} {each['right']}"
        for each in invariant["comparisons"]
        if Decimal(each["difference"])
    ]
    more = len(told) - _SHOWN_MAX
    return told[:_SHOWN_MAX] + ([f"and {more} more"] if more > 0 else [])


def _amount(row: Document) -> Decimal:
    return Decimal(row["amount"]["amount"])


def _marked_up(line: Document) -> Decimal:
    return expense_amount(Decimal(line["net_amount"]["amount"]))
