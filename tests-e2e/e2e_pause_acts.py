"""What stops a project before it begins, and what lets it go on: acts of the people of a firm."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from e2e_outages import down
from e2e_practice import Practice, at_a_fixed_fee, by_the_hour, money

from throughline_cli.api import Document
from throughline_cli.stack.layout import write_secret
from throughline_cli.story import deals, firm
from throughline_simulators.control_client import ControlClient

DELIVERY: Final = firm.TEMPLATES["delivery"]


@dataclass(slots=True)
class Start:
    """A deal about to be put in force."""

    practice: Practice
    entity_id: str
    customer_id: str
    template_code: str
    """A delivery template that only this deal uses; its service has the same code, in capitals."""
    contract_id: str = ""
    """Empty until it is sold."""
    undoing: ExitStack = field(default_factory=ExitStack)
    """What has to be put right even if the story breaks off."""

    @property
    def service_code(self) -> str:
        return self.template_code.upper()

    @property
    def contract_path(self) -> str:
        return f"/v1/contracts/{self.contract_id}"

    def patch_customer(self, **changes: object) -> None:
        path = f"/v1/customers/{self.customer_id}"
        customer = self.practice.sales.get(path)["customer"]
        kept = ("version", "name", "address", "tax_id", "currency", "billing_email")
        body = {name: customer[name] for name in (*kept, "payment_terms_days")}
        self.practice.sales.patch(path, body | changes)

    def post_customer(self, role: str, verb: str, body: Document) -> None:
        api = getattr(self.practice, role)
        api.post(f"/v1/customers/{self.customer_id}:{verb}", body)

    def patch_entity(self, **changes: object) -> None:
        path = f"/v1/legal-entities/{self.entity_id}"
        entity = self.practice.finance.get(path)["legal_entity"]
        kept = ("version", "name", "time_zone", "address", "tax_id", "registration")
        body = {name: entity[name] for name in (*kept, "iban", "bic", "billing_email")}
        self.practice.finance.patch(path, body | changes)

    def put_service(self, *, retired: bool = False) -> None:
        service = firm.SERVICES["DELIVERY-TM"]
        changes = {"template_code": self.template_code, "retired": retired}
        self.practice.offer_service(self.service_code, service | changes)

    def propose_service(self, **changes: object) -> None:
        """Have two people change what concerns the price of the service."""
        own = {"code": self.service_code, "template_code": self.template_code}
        service = firm.SERVICES["DELIVERY-TM"] | own | changes
        path = f"/v1/services/{self.service_code}:propose"
        self.practice.publish(self.practice.sales.post(path, {"service": service}))

    def publish_template(self, template: Document) -> None:
        self.practice.publish_template(self.template_code, template)

    def resume(self) -> None:
        """Have the paused run checked again."""
        run = self.practice.run_of(self.contract_id)
        self.practice.pmo.post(f"/v1/provisioning-runs/{run['run_id']}:resume", {})


Act = Callable[[Start], object]
Sale = Callable[[Start], str]
"""Returns the id of the contract that is drafted."""


def offering(**changes: Any) -> Sale:
    """Sell hours of the deal's own service, with these changes to the usual line."""

    def sell(start: Start) -> str:
        line = by_the_hour(service_code=start.service_code) | changes
        practice = start.practice
        return practice.approve(practice.offer(start.entity_id, start.customer_id, [line]))

    return sell


def nothing(start: Start) -> None:
    """The harm lies in the deal itself."""


# The customer


def hold(start: Start) -> None:
    start.post_customer("finance", "place-credit-hold", {"reason": "Overdue"})


def release(start: Start) -> None:
    start.post_customer("finance", "release-credit-hold", {"reason": "Paid"})


def move_customer_abroad(start: Start) -> None:
    """Let neither side be registered where the other one is: nobody would account for the tax."""
    address = {"lines": ["Ring 1"], "city": "Wien", "postal_code": "1010", "country": "AT"}
    start.patch_customer(address=address, tax_id="ATU13585627")
    start.patch_entity(tax_id=None)


def register_entity(start: Start) -> None:
    start.patch_entity(tax_id=firm.ENTITIES[0]["tax_id"])


def expire_certificate(start: Start) -> None:
    start.patch_customer(details=certified(start, days=0))


def renew_certificate(start: Start) -> None:
    start.patch_customer(details=certified(start, days=365))


def certified(start: Start, *, days: int) -> Document:
    """Return the details of a customer who is free of tax until this day."""
    certificate = {"country": "DE", "number": "EX-1", "valid_from": "2025-01-01"}
    certificate["valid_to"] = start.practice.day(days)
    return {"exemption_certificates": [certificate]}


def owe_more_than_allowed(start: Start) -> None:
    """Work for the customer under another deal, above a limit that is set then."""
    practice = start.practice
    contract = practice.deal(start.entity_id, start.customer_id, [by_the_hour()])
    [project] = practice.projects(contract["contract_id"])
    task = next(task for task in project["tasks"] if task["billable"])
    day = {
        "person_id": practice.hire(start.entity_id),
        "task_id": task["task_id"],
        "work_date": practice.day(0),
        "minutes": 480,
    }
    practice.record([day])
    limit_credit(start, "1000.00")
    practice.until("the work is owed", lambda: credit_status(start)["exceeded"])


def allow_more(start: Start) -> None:
    limit_credit(start, "9000.00")


def limit_credit(start: Start, amount: str) -> None:
    body = {"credit_limit": money(amount), "reason": "Reviewed"}
    start.post_customer("finance", "set-credit-limit", body)


def credit_status(start: Start) -> Document:
    return start.practice.finance.get(f"/v1/customers/{start.customer_id}/credit-status")


def lose_receivables(start: Start) -> None:
    """Let nobody say what a customer with a credit limit owes."""
    allow_more(start)
    start.undoing.enter_context(down(start.practice.sandbox, "invoice-payment"))


def regain_receivables(start: Start) -> None:
    start.undoing.close()
    known = "exposure_known"
    start.practice.until("what is owed is known", lambda: credit_status(start)[known])


def ask_for_contact(owner: str) -> Act:
    """Rule that a customer of this entity has a contact, and who sees to it."""

    def ask(start: Start) -> None:
        rule = {
            "object": "customer",
            "field": "contacts.billing",
            "condition": "required",
            "legal_entity_id": start.entity_id,
            "severity": "stop",
            "owner": owner,
            "advice": "ask whom invoices are discussed with",
        }
        path = f"/v1/data-quality-rules/{start.template_code}"
        version = start.practice.sales.post(f"{path}:put", rule)["rule"]["rule_version"]
        start.practice.finance.post(f"{path}:activate", {"rule_version": version})

    return ask


def name_contact(start: Start) -> None:
    contact = {"name": "M. Roth", "purpose": "billing", "email": "m.roth@roth.example"}
    start.patch_customer(details={"contacts": [contact]})


# The contract and what was sold


def outlive_term(start: Start) -> None:
    """Let the hold that keeps the deal waiting go only when the term is over."""
    start.practice.run_of(start.contract_id)
    start.practice.advance(4)
    release(start)
    start.resume()


def sell_three_days(start: Start) -> str:
    line = by_the_hour(service_code=start.service_code)
    practice = start.practice
    return practice.approve(practice.offer(start.entity_id, start.customer_id, [line], days=3))


def extend_term(start: Start) -> None:
    amend(start, {"end_on": start.practice.day(300)})


def name_old_order(start: Start) -> None:
    """Note an order of the customer on the draft that ends before the work begins."""
    draft = start.practice.contract(start.contract_id)
    kept = ("version", "bill_to_customer_id", "payment_terms_days", "invoice_grouping")
    profile = {name: draft[name] for name in (*kept, "line_detail", "time_rounding_mode")}
    order = {"number": "PO-1", "valid_from": "2026-01-01", "valid_to": start.practice.day(0)}
    changes = {"purchase_orders": [order], "time_rounding_minutes": 1}
    start.practice.sales.patch(start.contract_path, profile | changes)


def name_new_order(start: Start) -> None:
    order = {"number": "PO-2", "valid_from": start.practice.day(0)}
    amend(start, {"purchase_orders": {"purchase_orders": [order]}})


def amend(start: Start, content: Document) -> None:
    """Agree a change order from today on."""
    start.practice.agree_change(start.contract_id, start.practice.day(0), content)


def sell_without_milestones(start: Start) -> str:
    """Offer a fixed fee of which nobody says when any part of it is due."""
    kept = {name: firm.SERVICES["DISCOVERY"][name] for name in ("name", "tax_category")}
    changes = {"billing_model": "fixed_fee", "template_code": "discovery"}
    code = f"{start.service_code}-FEE"
    start.practice.offer_service(code, kept | changes)
    line = at_a_fixed_fee(service_code=code)
    return start.practice.approve(start.practice.offer(start.entity_id, start.customer_id, [line]))


def agreed_rate(**changes: object) -> Sequence[Document]:
    rate = {"role": "consultant", "hourly_rate": money("140.00"), "planned_hours": "400"}
    return [rate | changes]


def name_nobody(start: Start) -> None:
    """Agree the rate for whoever does the work."""
    [line] = start.practice.contract(start.contract_id)["lines"]
    altered = {"contract_line_id": line["contract_line_id"], "rates": {"rates": agreed_rate()}}
    amend(start, {"altered_lines": [altered]})


def sell_cheaply_elsewhere(start: Start) -> str:
    """Have the firm's CRM approve an hour below the floor, which binds only who offers here."""
    practice = start.practice
    practice.publish_rate_card(start.entity_id)
    floor = {"service_code": start.service_code, "unit_price": money("120.00")}
    policy = {"legal_entity_id": start.entity_id, "floor_prices": [floor]}
    changes = {"exception_role": "finance", "comment": "Floors"}
    practice.publish(practice.sales.post("/v1/price-policies:propose", policy | changes))
    connect_crm(start)
    filters = {"legal_entity_id": start.entity_id}
    listed = practice.until(
        "the deal is brought in",
        lambda: list(practice.sales.pages("/v1/contracts", "contracts", **filters)),
    )
    return str(listed[0]["contract_id"])


def connect_crm(start: Start) -> None:
    """Let a CRM with one approved quote be read."""
    practice = start.practice
    with ControlClient(str(practice.sandbox.state.simulators_url)) as vendors:
        fields = [{"object": "Account", "name": "VAT_Number__c"}]
        vendors.salesforce.seed(crm_records(start), fields=fields)
    connect(start, deals.CONNECTION, enabled=True, legal_entity_id=start.entity_id)
    practice.integration.post(f"/v1/connections/{deals.CONNECTION}:sync", {})


def crm_records(start: Start) -> list[dict[str, object]]:
    account: dict[str, object] = {
        "attributes": {"type": "Account", "referenceId": "roth"},
        "Name": start.practice.name("Roth Anlagenbau GmbH"),
        "CurrencyIsoCode": "EUR",
        "BillingStreet": "Ballindamm 17",
        "BillingCity": "Hamburg",
        "BillingPostalCode": "20095",
        "BillingCountry": "DE",
        "VAT_Number__c": start.practice.tax_id(),
    }
    line = {
        "attributes": {"type": "SBQQ__QuoteLine__c"},
        "SBQQ__Number__c": 1,
        "SBQQ__ProductCode__c": start.service_code,
        "SBQQ__ProductName__c": "Advisory by the hour",
        "SBQQ__Quantity__c": 240,
        "SBQQ__ListPrice__c": 100,
    }
    quote: dict[str, object] = {
        "attributes": {"type": "SBQQ__Quote__c", "referenceId": "cheap"},
        "SBQQ__Account__c": "@roth",
        "SBQQ__Status__c": "Approved",
        "SBQQ__Primary__c": True,
        "CurrencyIsoCode": "EUR",
        "SBQQ__StartDate__c": start.practice.day(0),
        "SBQQ__SubscriptionTerm__c": 12,
        "SBQQ__LineItems__r": {"records": [line]},
    }
    return [account, quote]


def connect(start: Start, name: str, **changes: object) -> None:
    """Put a connection to the simulated vendor."""
    sandbox = start.practice.sandbox
    write_secret(sandbox.layout.vendor_secrets / "crm", "simulated-secret")
    connection = {
        "vendor": "salesforce_cpq",
        "base_url": f"{sandbox.state.simulators_url}/salesforce",
        "client_id": "simulated-client",
        "secret_ref": "crm",
        "legal_entity_id": "",
        "mapping_json": '{"tax_id_field": "VAT_Number__c"}',
        "poll_seconds": 0,
    }
    start.practice.integration.put(f"/v1/connections/{name}", connection | changes)


def let_it_pass(start: Start) -> None:
    """Have the role for exceptions accept the price."""
    contract = start.practice.contract(start.contract_id)
    path = f"/v1/quotes/{contract['quote_id']}:accept-breaches"
    decision = {"quote_version": contract["quote_version"], "comment": "Foot in the door"}
    start.practice.finance.post(path, decision)


# The catalogue and the templates


def sell_own_template(start: Start) -> str:
    return offering(template_code=f"{start.template_code}-own")(start)


def offer_own_template(start: Start) -> None:
    """Put a service into the catalogue that is delivered as the contract says."""
    code = f"{start.template_code}-own"
    start.practice.offer_service(
        code.upper(), firm.SERVICES["DELIVERY-TM"] | {"template_code": code}
    )
    start.practice.publish_template(code, DELIVERY)


def bill_otherwise(start: Start) -> None:
    start.propose_service(billing_model="pass_through", markup_percent="5")


def bill_as_sold(start: Start) -> None:
    start.propose_service()


def staffed_by(formula: str) -> Document:
    """Return the delivery template with a role whose hours follow from the line."""
    return DELIVERY | {"roles": [{"role": "consultant", "hours_formula": formula}]}


# The ERP


def require_account(start: Start, system: str = "netsuite") -> None:
    start.practice.integration.put(
        f"/v1/erp-policies/{start.entity_id}", {"system": system, "account_required": True}
    )


def switch_erp_off(start: Start) -> None:
    connect(start, start.template_code, enabled=False)
    require_account(start, start.template_code)


def put_erp_account(start: Start) -> None:
    account = {"account": f"C-{uuid4().hex[:8]}"}
    path = f"/v1/erp-accounts/{start.entity_id}/{start.customer_id}"
    start.practice.integration.put(path, account)
