"""Four weeks of work: what everybody writes down, day by day."""

import base64
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from throughline_cli.story.firm import PEOPLE

FIRST_DAY: Final = date(2026, 9, 1)
LAST_DAY: Final = date(2026, 9, 25)
DISCOVERY_LAST_DAY: Final = date(2026, 9, 11)

_SATURDAY: Final = 5
_NOTES: Final = (
    "Interface of the order intake",
    "Data model and migration rehearsal",
    "Review with the client's team",
    "Test of the month-end close",
    "Dashboards for the shop floor",
)


def working_days() -> list[date]:
    """Return the working days of the four weeks."""
    span = (LAST_DAY - FIRST_DAY).days + 1
    days = (FIRST_DAY + timedelta(days=offset) for offset in range(span))
    return [day for day in days if day.weekday() < _SATURDAY]


def time_rows(
    people: Mapping[str, str], tasks: Mapping[tuple[str, str], str]
) -> Iterator[dict[str, Any]]:
    """Yield every time entry of the four weeks.

    `people` are ids by name, `tasks` ids by legal entity and key of the task.
    """
    for number, day in enumerate(working_days()):
        note = _NOTES[number % len(_NOTES)]
        for name, entity, _, hours in PEOPLE:
            if Decimal(hours) > 0:
                yield _row(people[name], tasks[entity, "Implementation"], day, hours, note)
        if day <= DISCOVERY_LAST_DAY:
            yield _row(people["Ada Brandt"], tasks["DE01", "Workshops"], day, "2", "Interviews")
        yield _row(people["Lena Vogt"], tasks["DE01", "Tickets"], day, "3", "Support tickets")


def expense_lines(project_id: str, receipts: list[str]) -> list[dict[str, Any]]:
    """Return the lines of one report; each has its receipt."""
    lines = (
        ("2026-09-08", "travel", "Train Hamburg to Kiel and back", "240.00", "16.80"),
        ("2026-09-10", "accommodation", "Hotel, three nights", "480.00", "33.60"),
    )
    return [
        {
            "project_id": project_id,
            "incurred_on": day,
            "category": category,
            "description": text,
            "net_amount": {"amount": net, "currency": "EUR"},
            "tax_amount": {"amount": tax, "currency": "EUR"},
            "billable": True,
            "reimbursable": True,
            "receipt_sha256": receipt,
        }
        for (day, category, text, net, tax), receipt in zip(lines, receipts, strict=True)
    ]


def _row(person_id: str, task_id: str, day: date, hours: str, note: str) -> dict[str, Any]:
    return {
        "source": {
            "system": "timeclock",
            "object_type": "entry",
            "object_id": f"{person_id}/{task_id}/{day}",
        },
        "person_id": person_id,
        "task_id": task_id,
        "work_date": day.isoformat(),
        "minutes": int(Decimal(hours) * 60),
        "note": note,
    }


def receipt(text: str) -> str:
    """Return a small PDF that says `text`, in base64."""
    stream = f"BT /F1 14 Tf 60 760 Td ({text}) Tj ET"
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        "/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
    )
    body = "%PDF-1.4\n" + "".join(
        f"{number} 0 obj{content}endobj\n" for number, content in enumerate(objects, start=1)
    )
    return base64.b64encode((body + "trailer<</Root 1 0 R>>\n%%EOF\n").encode()).decode()
