"""A firm to work in: an entity, consultants, and many contracts in force with their projects."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from e2e_deals import (
    Deal,
    by_the_hour,
    found_entity,
    hire,
    import_quote,
    put_in_force,
    running_deal,
    stock_catalogue,
    the_customer,
)
from e2e_rest import Rest

from load.figures import Timing, drive
from throughline_cli.api import Document

CLIENTS: Final = 8
BODY_ROWS: Final = 500
ENTRY_MINUTES: Final = 30

_FIRST_MONDAY: Final = date(2026, 9, 7)
_WEEK: Final = timedelta(7)
_WEEKS: Final = 3
_DAYS: Final = 5
_ENTRIES_A_DAY: Final = 4
_DAY_MINUTES: Final = 24 * 60
_PEOPLE_IN_BODY: Final = BODY_ROWS // (_DAYS * _ENTRIES_A_DAY)


@dataclass(frozen=True, slots=True)
class World:
    """What the benchmarks work with, and how fast it was made."""

    entity_id: str
    customer_id: str
    deals: Sequence[Deal]
    quotes: Timing
    """Importing the quotes, with `CLIENTS` clients."""


async def make_world(rest: Rest, *, contracts: int) -> World:
    """Make the firm; every contract is imported as a quote, approved, signed and activated."""
    await stock_catalogue(rest)
    entity_id = await found_entity(rest, "BENCH")
    customer_id = await the_customer(rest)
    quotes: list[Document] = []

    async def bring_in(number: int) -> None:
        name = f"BENCH-{number:05}"
        quotes.append(await import_quote(rest, entity_id, customer_id, name, [by_the_hour()]))

    timing = await drive(range(contracts), bring_in, clients=CLIENTS)
    contract_ids: list[str] = []

    async def enforce(quote: Document) -> None:
        contract_ids.append(await put_in_force(rest, quote))

    await drive(quotes, enforce, clients=CLIENTS)
    deals: list[Deal] = []

    async def find(contract_id: str) -> None:
        deals.append(await running_deal(rest, contract_id))

    await drive(contract_ids, find, clients=CLIENTS)
    return World(entity_id, customer_id, deals, timing)


class Timeclock:
    """Makes bodies of approved time; each has weeks of people that no other one has."""

    def __init__(self, rest: Rest, world: World) -> None:
        self._rest = rest
        self._world = world
        self._people = 0
        self._weeks = 0

    async def bodies(self, count: int) -> list[bytes]:
        """Return bodies of `BODY_ROWS` rows in JSON, hiring whom they need."""
        made: list[bytes] = []
        while len(made) < count:
            people = await self._hire()
            made += [self._body(people, _FIRST_MONDAY + week * _WEEK) for week in range(_WEEKS)]
        return made[:count]

    async def large_bodies(self, count: int, rows: int) -> list[bytes]:
        """Return bodies of so many rows, all of the same people: each body is a week of its own."""
        people = await self._hire()
        first = _FIRST_MONDAY - count * _WEEK
        each_day = -(-rows // (len(people) * _DAYS))
        return [
            self._body(people, first + week * _WEEK, each_day=each_day, rows_max=rows)
            for week in range(count)
        ]

    async def single_rows(self) -> list[bytes]:
        """Return the rows of one body, each as a body of its own that names the entry it makes."""
        [body] = await self.bodies(1)
        return [
            json.dumps({"rows": [row], "partial": True, "approved": True}).encode()
            for row in json.loads(body)["rows"]
        ]

    async def _hire(self) -> list[str]:
        first, self._people = self._people, self._people + _PEOPLE_IN_BODY
        people: list[str] = []

        async def take_on(number: int) -> None:
            name = f"Consultant {number}"
            people.extend(await hire(self._rest, self._world.entity_id, [name]))

        await drive(range(first, self._people), take_on, clients=CLIENTS)
        return people

    def _body(
        self,
        people: Sequence[str],
        monday: date,
        *,
        each_day: int = _ENTRIES_A_DAY,
        rows_max: int = BODY_ROWS,
    ) -> bytes:
        """Return everybody's week, each person on the next contract."""
        rows: list[dict[str, Any]] = []
        for person_id in people:
            deal = self._world.deals[self._weeks % len(self._world.deals)]
            self._weeks += 1
            rows += _week(person_id, monday, deal.task_id, each_day)
        return json.dumps({"rows": rows[:rows_max], "partial": False, "approved": True}).encode()


def _week(person_id: str, monday: date, task_id: str, each_day: int) -> Iterator[dict[str, Any]]:
    minutes = min(ENTRY_MINUTES, _DAY_MINUTES // each_day)
    for day in range(_DAYS):
        for number in range(each_day):
            work_date = (monday + timedelta(day)).isoformat()
            yield {
                "source": {
                    "system": "timeclock",
                    "object_type": "entry",
                    "object_id": f"{person_id}/{work_date}/{number}",
                },
                "person_id": person_id,
                "task_id": task_id,
                "work_date": work_date,
                "minutes": minutes,
                "note": f"Work package {number + 1}",
            }
