"""The load: clients that record, submit, approve and accept for as long as the drill lasts."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from statistics import mean
from typing import Any, Final

from e2e_deals import FIRST_DAY, LAST_DAY, Deal, money

from faults.ledger import Ledger
from faults.persistent import Persistent
from throughline_cli.api import Refused

_BATCHES: Final = (1, 1, 2, 3, 8, 30, 150)
_PAUSE_SECONDS_MAX: Final = 0.3
# What one client imports if its requests took no time, and half as much again: dice are uneven, and
# the load goes on until the last of the killed is back.
_ROWS_PER_SECOND_MAX: Final = 1.5 * mean(_BATCHES) / (_PAUSE_SECONDS_MAX / 2)
_MINUTES_MAX: Final = 25
# Half a day: what a faulty client records twice is to be found, not refused.
_DAY_MINUTES: Final = 12 * 60
_MONTH_DAYS: Final = 30
_WEEKS: Final = (date(2026, 9, 7), date(2026, 9, 14), date(2026, 9, 21))
_WORKING_DAYS: Final = 5
_ENTRY_MINUTES_MAX: Final = 6
# Half a day again, of which every entry takes at most so much.
_TIMES_A_WEEK: Final = _DAY_MINUTES // _ENTRY_MINUTES_MAX
_WEEKS_PER_SECOND_MAX: Final = 1.5 / (_PAUSE_SECONDS_MAX / 2)
_EXPENSE_LINES_MAX: Final = 3
# Five per cent of a multiple of this are whole cents.
_COST_STEP: Final = Decimal("0.20")

Work = Callable[["Client"], Coroutine[Any, Any, None]]


class Calendar:
    """Gives out time on people's days, no day beyond what it holds."""

    def __init__(self, people: Sequence[str]) -> None:
        self._days = _person_days(people)
        self._person_id, self._day = next(self._days)
        self._left = _DAY_MINUTES

    def take(self, minutes: int) -> tuple[str, date]:
        """Return a person and a day on which so much may be recorded."""
        if minutes > self._left:
            self._person_id, self._day = next(self._days)
            self._left = _DAY_MINUTES
        self._left -= minutes
        return self._person_id, self._day


@dataclass
class Client:
    """One client: on which deal it works, for whom, and where it books what was accepted."""

    name: str
    rest: Persistent
    ledger: Ledger
    deal: Deal
    employee_id: str
    """Whose expenses it records; `weeks` and `calendar` are of other people."""
    weeks: Iterator[tuple[str, date]]
    calendar: Calendar
    random: Random
    stop: asyncio.Event
    spent: int = 0

    def next_name(self) -> str:
        """Return a name that nothing else in the drill has."""
        self.spent += 1
        return f"{self.name}-{self.spent}"

    async def run(self, work: Work) -> None:
        """Do this kind of work again and again until it is time to stop."""
        while not self.stop.is_set():
            try:
                await work(self)
            except Refused as refusal:
                self.ledger.surprises.append(f"{work.__name__}: {refusal}")
            await asyncio.sleep(self.random.uniform(0, _PAUSE_SECONDS_MAX))


def people_needed(seconds: float) -> int:
    """Return how many people's days a client can fill in this time."""
    minutes = seconds * _ROWS_PER_SECOND_MAX * _MINUTES_MAX / 2
    return 2 + int(minutes / (_DAY_MINUTES * _MONTH_DAYS))


def weeks_needed(seconds: float) -> int:
    """Return how many people's weeks a client can fill in this time."""
    return 1 + int(seconds * _WEEKS_PER_SECOND_MAX / (_TIMES_A_WEEK * len(_WEEKS)))


def weeks_of(people: Sequence[str]) -> Iterator[tuple[str, date]]:
    """Yield every person's weeks, each as often as its days hold another entry."""
    for _ in range(_TIMES_A_WEEK):
        for person_id in people:
            for monday in _WEEKS:
                yield person_id, monday


async def import_batch(client: Client) -> None:
    """Bring in entries that were approved elsewhere, all or nothing or each for itself."""
    rows = [_row(client) for _ in range(client.random.choice(_BATCHES))]
    partial = client.random.random() < 0.5
    body = {"rows": rows, "partial": partial, "approved": True}
    reply = await client.rest.post("integration", "/v1/time-entries:batch", body)
    if reply["recorded_count"] == len(rows):
        client.ledger.accept_time(
            client.deal.contract_id, ((row["note"], row["minutes"]) for row in rows)
        )
    else:
        client.ledger.surprises.append(
            f"{reply['recorded_count']} of {len(rows)} rows were recorded: {reply['results'][:1]}"
        )


async def fill_week(client: Client) -> None:
    """Record a person's week entry by entry, hand it in, and have it approved."""
    person_id, monday = next(client.weeks)
    entries = []
    for day in range(_WORKING_DAYS):
        name, minutes = client.next_name(), client.random.randint(1, _ENTRY_MINUTES_MAX)
        body = {
            "person_id": person_id,
            "task_id": client.deal.task_id,
            "work_date": (monday + timedelta(day)).isoformat(),
            "minutes": minutes,
            "note": name,
        }
        await client.rest.post("integration", "/v1/time-entries", body)
        entries.append((name, minutes))
    sheets = [
        sheet["timesheet_id"]
        async for sheet in client.rest.pages(
            "pmo", "/v1/timesheets", "timesheets", person_id=person_id, status="draft"
        )
    ]
    for sheet_id in sheets:
        await client.rest.post("integration", f"/v1/timesheets/{sheet_id}:submit", {})
    await client.rest.post("pmo", "/v1/timesheets:approve", {"timesheet_ids": sheets})
    client.ledger.accept_time(client.deal.contract_id, entries)


async def claim_expenses(client: Client) -> None:
    """Report a few expenses, hand the report in, and have it approved."""
    nets = {
        client.next_name(): client.random.randint(1, 2000) * _COST_STEP
        for _ in range(client.random.randint(1, _EXPENSE_LINES_MAX))
    }
    lines = [
        {
            "project_id": client.deal.project_id,
            "incurred_on": "2026-09-15",
            "category": "travel",
            "description": name,
            "net_amount": money(net),
            "tax_amount": money("0.00"),
        }
        for name, net in nets.items()
    ]
    body = {"person_id": client.employee_id, "title": f"Travel {client.name}", "lines": lines}
    report = (await client.rest.post("integration", "/v1/expense-reports", body))["expense_report"]
    path = f"/v1/expense-reports/{report['expense_report_id']}"
    await client.rest.post("integration", f"{path}:submit", {})
    await client.rest.post("pmo", f"{path}:approve", {})
    for name, net in nets.items():
        client.ledger.accept_expense(client.deal.contract_id, name, net)


async def accept_milestone(client: Client) -> None:
    """Complete the deal's next milestone and have the client accept it; expenses once all are."""
    waiting = client.deal.milestones.keys() - client.ledger.milestones.keys()
    if not waiting:
        await claim_expenses(client)
        return
    milestone_id = min(waiting)
    path = f"/v1/milestones/{milestone_id}"
    await client.rest.post("pmo", f"{path}:complete", {"completed_on": "2026-09-15"})
    acceptance = {
        "accepted_by": "M. Roth",
        "accepted_on": "2026-09-16",
        "evidence_sha256": "0" * 64,
    }
    await client.rest.post("pmo", f"{path}:accept", acceptance)
    amount = client.deal.milestones[milestone_id]
    client.ledger.accept_milestone(client.deal.contract_id, milestone_id, amount)


WORK: Final[Sequence[Work]] = (import_batch, fill_week, import_batch, claim_expenses)
"""What clients do, in turn; one more for each deal accepts its milestones."""


def _row(client: Client) -> dict[str, Any]:
    minutes = client.random.randint(1, _MINUTES_MAX)
    person_id, day = client.calendar.take(minutes)
    return {
        "person_id": person_id,
        "task_id": client.deal.task_id,
        "work_date": day.isoformat(),
        "minutes": minutes,
        "note": client.next_name(),
    }


def _person_days(people: Sequence[str]) -> Iterator[tuple[str, date]]:
    """Yield every person's every day of the month, once."""
    day, last = date.fromisoformat(FIRST_DAY), date.fromisoformat(LAST_DAY)
    while day <= last:
        for person_id in people:
            yield person_id, day
        day += timedelta(1)
