"""A firm that practises: people, deals and a calendar of its own, through REST alone.

Every story founds its own entity and counts days from the sandbox's own today, so that stories may
be told in any order on one sandbox whose clock only goes forward.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

from e2e_sandbox import SUBJECTS, Sandbox
from stdnum.iso7064 import mod_11_10

from throughline_cli.api import Api, Document, Refused
from throughline_cli.commands.clock import move
from throughline_cli.stack.secrets import Subject
from throughline_cli.story import firm

WAIT_SECONDS: Final = 90.0
CHANGE_SIGNATURE: Final = {"signatory": "M. Roth", "document_sha256": "5" * 64}
_PAUSE_SECONDS: Final = 0.1

# Beside those of the drills: sales' second pair of eyes.
_MORE_SUBJECTS: Final = {"deal_desk": Subject("dora.sales", ("sales_operations",))}

T = TypeVar("T")
Line = Mapping[str, Any]


class Practice:
    """One firm on a running sandbox; `firm.sales`, `firm.pmo` … speak as these people."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ahead = timedelta()
        self._numbers = count(1)
        self._customer_id: str | None = None
        self._apis = {
            name: Api.of(sandbox.layout, subject)
            for name, subject in (SUBJECTS | _MORE_SUBJECTS).items()
        }
        self.set_clock(datetime(2026, 9, 1, 6, tzinfo=UTC))

    def __getattr__(self, name: str) -> Api:
        try:
            return self._apis[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def sandbox(self) -> Sandbox:
        """The stack the firm works on."""
        return self._sandbox

    @property
    def folder(self) -> Path:
        """The folder of the stack the firm works on."""
        return self._sandbox.layout.folder

    def close(self) -> None:
        for api in self._apis.values():
            api.__exit__(None, None, None)

    def stock_catalogue(self) -> None:
        """Put the services, delivery templates and tax rules that deals need."""
        for code, service in firm.SERVICES.items():
            self.finance.put(f"/v1/services/{code}", service)
        for code, template in firm.TEMPLATES.items():
            self.publish_template(code, template)
        for rule in firm.TAX_RULES:
            self.finance.put("/v1/tax-rules", rule)

    def publish_template(self, code: str, template: Document) -> None:
        """Propose a version of a delivery template and have a second person approve it."""
        path = f"/v1/delivery-templates/{code}"
        version = self.pmo.put(path, template)["template"]["version"]
        self.delivery.post(f"{path}:approve", {"version": version})

    def offer_service(self, code: str, service: Document) -> None:
        """Put a service into the catalogue, or change of it what is no matter of price."""
        self.finance.put(f"/v1/services/{code}", service)

    def publish_rate_card(self, entity_id: str, rate: str = "120.00") -> None:
        """Propose a card of the entity for consultants and have a second person publish it."""
        entry = {
            "role": "consultant",
            "hourly_rate": money(rate),
            "valid_from": "2026-01-01",
        }
        card = {
            "code": self.name("RC").replace(" ", "-"),
            "name": "Consultants",
            "currency": "EUR",
            "legal_entity_id": entity_id,
            "entries": [entry],
        }
        self.publish(self.sales.post("/v1/rate-cards:propose", card))

    def publish(self, proposed: Document) -> None:
        """Have a second person put into force what was proposed."""
        proposal_id = proposed["proposal"]["proposal_id"]
        self.finance.post(f"/v1/price-proposals/{proposal_id}:publish", {})

    def tax_id(self) -> str:
        """Return a German registration nobody else has, with the right check digit."""
        digits = f"{20000000 + next(self._numbers)}"
        return f"DE{digits}{mod_11_10.calc_check_digit(digits)}"

    # The calendar

    def set_clock(self, instant: datetime) -> None:
        """Let business time be this instant."""
        self._ahead = instant - datetime.now(UTC)
        move(self._sandbox.layout, self._sandbox.state, self._ahead)

    def advance(self, days: int) -> date:
        """Let so many days pass; return the new today."""
        self._ahead += timedelta(days=days)
        move(self._sandbox.layout, self._sandbox.state, self._ahead)
        return self.today

    @property
    def today(self) -> date:
        return (datetime.now(UTC) + self._ahead).date()

    def day(self, days: int) -> str:
        """Return the day so many days after today, ISO 8601."""
        return (self.today + timedelta(days=days)).isoformat()

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Return what `look` finds, once it finds something."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s in vain until {what}"
            time.sleep(_PAUSE_SECONDS)

    def refusal(self, command: Callable[[], object]) -> Refused:
        """Return how a command is refused; it has to be."""
        try:
            answer = command()
        except Refused as refused:
            return refused
        raise AssertionError(f"not refused: {answer}")

    # The firm

    def name(self, word: str) -> str:
        """Return a name nobody else on the sandbox has."""
        return f"{word} {next(self._numbers)}"

    def found_entity(self, country: str = "DE", **changes: Any) -> str:
        """Return the id of a new legal entity like the story's of that country."""
        model = firm.ENTITIES[0] if country == "DE" else firm.ENTITIES[1]
        code = f"{country}{next(self._numbers):03d}"
        made = self.finance.post("/v1/legal-entities", dict(model) | {"code": code} | changes)
        return str(made["legal_entity"]["legal_entity_id"])

    def customer(self) -> str:
        """Return the id of the customer of every deal that needs no other."""
        if self._customer_id is None:
            self._customer_id = self.new_customer()
        return self._customer_id

    def new_customer(self, **changes: Any) -> str:
        """Return the id of a new customer like the story's parent; no two share a registration."""
        body = firm.PARENT | {"name": self.name("Roth Maschinenbau GmbH")} | changes
        return str(self.sales.post("/v1/customers", body)["customer"]["customer_id"])

    def hire(self, entity_id: str, role: str = "consultant", **changes: Any) -> str:
        """Return the id of somebody new who has worked there since long."""
        name = self.name("Iris Falk")
        body = {
            "name": name,
            "legal_entity_id": entity_id,
            "role": role,
            "level": "",
            "region": "",
            "employed_from": "2026-01-01",
            "subject": name.lower().replace(" ", "."),
        }
        made = self.pmo.post("/v1/persons", body | changes)
        return str(made["person"]["person_id"])

    # Deals

    def offer(
        self,
        entity_id: str,
        customer_id: str,
        lines: Sequence[Line],
        *,
        currency: str = "EUR",
        days: int = 300,
    ) -> Document:
        """Return a new quote, in review; its term begins today."""
        terms = {
            "customer_id": customer_id,
            "legal_entity_id": entity_id,
            "currency": currency,
            "start_on": self.day(0),
            "end_on": self.day(days),
            "lines": list(lines),
        }
        quote: Document = self.sales.post("/v1/quotes", {"terms": terms})["quote"]
        return quote

    def approve(self, quote: Document) -> str:
        """Approve a quote as a second person; return the id of the contract drafted from it."""
        path = f"/v1/quotes/{quote['quote_id']}:approve"
        done = self.deal_desk.post(path, {"quote_version": quote["quote_version"]})
        return str(done["contract"]["contract_id"])

    def put_in_force(self, contract_id: str) -> None:
        """Have the customer sign, today, and put the contract into force."""
        path = f"/v1/contracts/{contract_id}"
        signature = {
            "document_sha256": sha256(contract_id.encode()).hexdigest(),
            "signatory": "M. Roth",
            "signed_on": self.day(0),
        }
        self.sales.post(f"{path}:sign", signature)
        self.sales.post(f"{path}:activate", {"activate_on": self.day(0)})

    def deal(
        self, entity_id: str, customer_id: str, lines: Sequence[Line], **terms: Any
    ) -> Document:
        """Return a contract in force."""
        contract_id = self.approve(self.offer(entity_id, customer_id, lines, **terms))
        self.put_in_force(contract_id)
        return self.contract(contract_id)

    def draft_change(self, contract_id: str, on: str, content: Document) -> Document:
        """Return a new change order that takes effect on a day, ISO 8601."""
        made = self.sales.post(
            f"/v1/contracts/{contract_id}/change-orders",
            {"reason": "Agreed in the steering committee", "effective_on": on, "content": content},
        )
        order: Document = made["change_order"]
        return order

    def agree_change(self, contract_id: str, on: str, content: Document) -> Document:
        """Draft, propose and approve a change order; return it as it stands then."""
        drafted = self.draft_change(contract_id, on, content)
        path = f"/v1/change-orders/{drafted['change_order_id']}"
        self.sales.post(f"{path}:propose", {})
        signature = CHANGE_SIGNATURE | {"signed_on": self.day(0)}
        self.deal_desk.post(f"{path}:approve", {"signature": signature})
        order: Document = self.sales.get(path)["change_order"]
        return order

    def contract(self, contract_id: str, **point: str) -> Document:
        found: Document = self.sales.get(f"/v1/contracts/{contract_id}", **point)["contract"]
        return found

    def projects(self, contract_id: str, number: int = 1) -> list[Document]:
        """Return the projects of a contract, whole, once there are so many."""

        def look() -> list[Document] | None:
            found = list(self.pmo.pages("/v1/projects", "projects", contract_id=contract_id))
            return found if len(found) >= number else None

        listed = self.until(f"contract {contract_id} has {number} projects", look)
        return [
            self.pmo.get(f"/v1/projects/{project['project_id']}")["project"] for project in listed
        ]

    def run_of(self, contract_id: str) -> Document:
        """Return the provisioning run of a contract once it has paused or gone through."""

        def look() -> Document | None:
            runs = self.pmo.pages("/v1/provisioning-runs", "runs", contract_id=contract_id)
            return next((run for run in runs if run["state"] in {"paused", "activated"}), None)

        return self.until(f"the run of contract {contract_id} has stopped", look)

    def record(self, rows: Sequence[Mapping[str, Any]], *, approved: bool = True) -> Document:
        """Bring in time; approved elsewhere unless told."""
        return self.integration.post(
            "/v1/time-entries:batch", {"rows": list(rows), "approved": approved}
        )

    def events(self, contract_id: str, **filters: str) -> list[Document]:
        """Return the billing events of a contract."""
        return list(
            self.finance.pages(
                "/v1/billing-events", "billing_events", contract_id=contract_id, **filters
            )
        )

    def broken_invariants(self) -> list[str]:
        """Return, once every published fact was taken, the invariants that do not hold."""

        def look() -> Document | None:
            found = self.auditor.get("/v1/reconciliation")
            return found if found["settled"] else None

        found = self.until("everything is taken", look)
        return [each["rule"] for each in found["invariants"] if not each["holds"]]


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def by_the_hour(rate: str = "140.00", **changes: Any) -> dict[str, Any]:
    """Return a line of time and materials for consultants."""
    agreed = {"role": "consultant", "hourly_rate": money(rate), "planned_hours": "400"}
    line = {
        "service_code": "DELIVERY-TM",
        "quantity": "400",
        "unit_price": money(rate),
        "rates": [agreed],
    }
    return line | changes


def at_a_fixed_fee(amount: str = "24000.00", **changes: Any) -> dict[str, Any]:
    """Return a line of a fixed fee with the catalogue's two milestones, 40 and 60 percent."""
    return {"service_code": "DISCOVERY", "quantity": "1", "unit_price": money(amount)} | changes


def each_month(amount: str = "2500.00", months: str = "10", **changes: Any) -> dict[str, Any]:
    """Return a line of monthly support."""
    line = {"service_code": "MANAGED-SUPPORT", "quantity": months, "unit_price": money(amount)}
    return line | changes
