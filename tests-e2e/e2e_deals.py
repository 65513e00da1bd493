"""Deals made for a purpose: from an imported quote to a running project, through REST alone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from e2e_rest import Rest

from throughline_cli.api import Document
from throughline_cli.story import firm

CURRENCY: Final = "EUR"
ROLE: Final = "consultant"
RATE: Final = Decimal("140.00")
MARKUP_PERCENT: Final = Decimal(5)
CUSTOMER: Final = "Roth Maschinenbau GmbH"
FIRST_DAY: Final = "2026-09-01"
LAST_DAY: Final = "2026-09-30"

_END: Final = "2027-09-01"
_TAX_ID: Final = "DE246813573"
_WAIT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Deal:
    """A contract in force, with its project."""

    contract_id: str
    legal_entity_id: str
    project_id: str
    task_id: str
    """The task on which billable time is recorded."""
    milestones: Mapping[str, Decimal]
    """The amount of each by its id."""


def money(amount: Decimal | str) -> dict[str, str]:
    return {"amount": str(amount), "currency": CURRENCY}


def by_the_hour() -> dict[str, Any]:
    """Return a line of time and materials without a limit."""
    rate = {"role": ROLE, "hourly_rate": money(RATE), "planned_hours": "0"}
    return {
        "service_code": "DELIVERY-TM",
        "quantity": "1",
        "unit_price": money("0.00"),
        "rates": [rate],
    }


def in_parts(count: int, *, each: Decimal) -> dict[str, Any]:
    """Return a fixed fee with this many equal milestones; `count` divides 100."""
    share = Decimal(100) / count
    plan = [
        {"key": f"part_{n}", "name": f"Part {n}", "share_percent": str(share.normalize())}
        for n in range(1, count + 1)
    ]
    return {
        "service_code": "DISCOVERY",
        "quantity": "1",
        "unit_price": money(each * count),
        "milestones": plan,
    }


def at_cost() -> dict[str, Any]:
    """Return a line of expenses at cost plus `MARKUP_PERCENT`."""
    return {"service_code": "EXPENSES", "quantity": "1", "unit_price": money("5000.00")}


async def stock_catalogue(rest: Rest) -> None:
    """Put the services, delivery templates and tax rules that deals need, as the story has them."""
    for code, service in firm.SERVICES.items():
        await rest.put("finance", f"/v1/services/{code}", service)
    for code, template in firm.TEMPLATES.items():
        path = f"/v1/delivery-templates/{code}"
        proposed = await rest.put("pmo", path, template)
        version = proposed["template"]["version"]
        await rest.post("delivery", f"{path}:approve", {"version": version})
    for rule in firm.TAX_RULES:
        await rest.put("finance", "/v1/tax-rules", rule)


async def found_entity(rest: Rest, code: str) -> str:
    """Return the id of a new German legal entity; rows up to 5,000.00 are released unasked."""
    made = await rest.post("finance", "/v1/legal-entities", dict(firm.ENTITIES[0]) | {"code": code})
    entity_id: str = made["legal_entity"]["legal_entity_id"]
    return entity_id


async def the_customer(rest: Rest) -> str:
    """Return the id of the German customer of all these deals."""
    async for known in rest.pages("sales", "/v1/customers", "customers"):
        if known["name"] == CUSTOMER:
            return str(known["customer_id"])
    body = firm.PARENT | {"name": CUSTOMER, "tax_id": _TAX_ID}
    made = await rest.post("sales", "/v1/customers", body)
    return str(made["customer"]["customer_id"])


async def hire(rest: Rest, entity_id: str, names: Sequence[str]) -> list[str]:
    """Return the ids of new consultants of the entity."""
    people = []
    for name in names:
        body = {
            "name": name,
            "legal_entity_id": entity_id,
            "role": ROLE,
            "level": "",
            "region": "",
            "employed_from": "2026-01-01",
            # No two people sign in alike, whoever else was hired before.
            "subject": f"{name.lower().replace(' ', '.')}.{uuid4().hex[:8]}",
        }
        made = await rest.post("pmo", "/v1/persons", body)
        people.append(made["person"]["person_id"])
    return people


async def import_quote(
    rest: Rest, entity_id: str, customer_id: str, number: str, lines: Sequence[Mapping[str, Any]]
) -> Document:
    """Return a quote as another system sends it, in review."""
    terms = {
        "customer_id": customer_id,
        "legal_entity_id": entity_id,
        "currency": CURRENCY,
        "start_on": FIRST_DAY,
        "end_on": _END,
        "lines": list(lines),
    }
    body = {
        "source": {"system": "drill", "object_type": "quote", "object_id": number},
        "number": number,
        "terms": terms,
    }
    made = await rest.post("integration", "/v1/quotes:import", body)
    quote: Document = made["quote"]
    return quote


async def put_in_force(rest: Rest, quote: Document) -> str:
    """Approve a quote, sign and activate its contract, and return the contract's id."""
    approved = await rest.post(
        "sales", f"/v1/quotes/{quote['quote_id']}:approve", {"quote_version": 1}
    )
    contract_id: str = approved["contract"]["contract_id"]
    path = f"/v1/contracts/{contract_id}"
    signature = {"document_sha256": "0" * 64, "signatory": "M. Roth", "signed_on": FIRST_DAY}
    await rest.post("sales", f"{path}:sign", signature)
    await rest.post("sales", f"{path}:activate", {"activate_on": FIRST_DAY})
    return contract_id


async def running_deal(rest: Rest, contract_id: str) -> Deal:
    """Return a contract in force with its project, once there is one."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        found = await rest.get("pmo", "/v1/projects", contract_id=contract_id)
        if found["projects"]:
            break
        assert time.monotonic() < deadline, f"contract {contract_id} has no project"
        await asyncio.sleep(_PAUSE_SECONDS)
    listed = found["projects"][0]
    project = (await rest.get("pmo", f"/v1/projects/{listed['project_id']}"))["project"]
    return Deal(
        contract_id=contract_id,
        legal_entity_id=project["legal_entity_id"],
        project_id=project["project_id"],
        task_id=next(task["task_id"] for task in project["tasks"] if task["billable"]),
        milestones={
            milestone["milestone_id"]: Decimal(milestone["amount"]["amount"])
            for milestone in project["milestones"]
        },
    )
