"""Every check a project waits for: it pauses with an owner and advice, and goes on once mended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from e2e_practice import Practice, at_a_fixed_fee, by_the_hour, money

from throughline_cli.api import Document
from throughline_cli.story import firm


@dataclass(frozen=True, slots=True)
class Start:
    """A deal about to be put in force."""

    practice: Practice
    entity_id: str
    customer_id: str
    template_code: str
    """A delivery template that only this deal uses; its service has the same code, in capitals."""

    @property
    def service_code(self) -> str:
        return self.template_code.upper()

    def patch_customer(self, **changes: object) -> None:
        path = f"/v1/customers/{self.customer_id}"
        customer = self.practice.sales.get(path)["customer"]
        kept = ("version", "name", "address", "tax_id", "currency", "billing_email")
        body = {name: customer[name] for name in (*kept, "payment_terms_days")}
        self.practice.sales.patch(path, body | changes)

    def post_customer(self, role: str, verb: str, body: Document) -> None:
        api = getattr(self.practice, role)
        api.post(f"/v1/customers/{self.customer_id}:{verb}", body)

    def put_service(self, *, retired: bool = False) -> None:
        service = firm.SERVICES["DELIVERY-TM"]
        changes = {"template_code": self.template_code, "retired": retired}
        self.practice.offer_service(self.service_code, service | changes)

    def publish_template(self, template: Document) -> None:
        self.practice.publish_template(self.template_code, template)


Act = Callable[[Start], object]


@dataclass(frozen=True, slots=True)
class Case:
    """What is wrong when the contract comes into force, what is said of it, and what mends it."""

    reason: str
    owner: str
    harm: Act
    mend: Act
    template: Document | None
    rates: Sequence[Document] | None
    """Rates agreed on the line; None takes the usual ones."""


def case(
    reason: str,
    owner: str,
    harm: Act,
    mend: Act,
    *,
    template: Document | None = firm.TEMPLATES["delivery"],
    rates: Sequence[Document] | None = None,
) -> Case:
    return Case(reason, owner, harm, mend, template, rates)


def nothing(start: Start) -> None:
    """The harm lies in the deal itself."""


def put_erp_policy(start: Start) -> None:
    start.practice.integration.put(
        f"/v1/erp-policies/{start.entity_id}", {"system": "netsuite", "account_required": True}
    )


def put_erp_account(start: Start) -> None:
    start.practice.integration.put(
        f"/v1/erp-accounts/{start.entity_id}/{start.customer_id}", {"account": "C-77120"}
    )


def expire_certificate(start: Start) -> None:
    start.patch_customer(details=certified(start, days=0))


def renew_certificate(start: Start) -> None:
    start.patch_customer(details=certified(start, days=365))


def certified(start: Start, *, days: int) -> Document:
    """Return the details of a customer who is free of tax until this day."""
    certificate = {
        "country": "DE",
        "number": "EX-1",
        "valid_from": "2025-01-01",
        "valid_to": start.practice.day(days),
    }
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
    path = f"/v1/customers/{start.customer_id}/credit-status"
    practice.until("the work is owed", lambda: practice.finance.get(path)["exceeded"])


def allow_more(start: Start) -> None:
    limit_credit(start, "9000.00")


def limit_credit(start: Start, amount: str) -> None:
    body = {"credit_limit": money(amount), "reason": "Reviewed"}
    start.post_customer("finance", "set-credit-limit", body)


def ask_for_contact(start: Start) -> None:
    """Rule that a customer of this entity has a contact for its invoices."""
    rule = {
        "object": "customer",
        "field": "contacts.billing",
        "condition": "required",
        "legal_entity_id": start.entity_id,
        "severity": "stop",
        "owner": "sales_operations",
        "advice": "ask whom invoices are discussed with",
    }
    path = f"/v1/data-quality-rules/{start.template_code}"
    version = start.practice.sales.post(f"{path}:put", rule)["rule"]["rule_version"]
    start.practice.finance.post(f"{path}:activate", {"rule_version": version})


def name_contact(start: Start) -> None:
    contact = {"name": "M. Roth", "purpose": "billing", "email": "m.roth@roth.example"}
    start.patch_customer(details={"contacts": [contact]})


CASES = (
    case(
        "customer.credit_hold",
        "finance",
        lambda start: start.post_customer("finance", "place-credit-hold", {"reason": "Overdue"}),
        lambda start: start.post_customer("finance", "release-credit-hold", {"reason": "Paid"}),
    ),
    case(
        "customer.tax_id_invalid",
        "sales_operations",
        lambda start: start.patch_customer(tax_id="DE123456780"),
        lambda start: start.patch_customer(tax_id=start.practice.tax_id()),
    ),
    case(
        "customer.tax_id_missing",
        "sales_operations",
        lambda start: start.patch_customer(tax_id=None),
        lambda start: start.patch_customer(tax_id=start.practice.tax_id()),
    ),
    case(
        "customer.ended",
        "sales_operations",
        lambda start: start.post_customer(
            "sales", "end", {"end_on": start.practice.day(0), "reason": "Moved away"}
        ),
        lambda start: start.post_customer("sales", "reopen", {"reason": "Came back"}),
    ),
    case(
        "catalogue.service_unknown",
        "sales_operations",
        lambda start: start.put_service(retired=True),
        lambda start: start.put_service(),
    ),
    case(
        "rate_card.no_rate",
        "sales_operations",
        nothing,
        lambda start: start.practice.publish_rate_card(start.entity_id),
        rates=(),
    ),
    case(
        "template.missing",
        "pmo",
        nothing,
        lambda start: start.publish_template(firm.TEMPLATES["delivery"]),
        template=None,
    ),
    case(
        "template.billing_model_unsupported",
        "pmo",
        nothing,
        lambda start: start.publish_template(firm.TEMPLATES["delivery"]),
        template=firm.TEMPLATES["discovery"],
    ),
    case("erp.account_missing", "integration", put_erp_policy, put_erp_account),
    case("customer.exemption_expired", "finance", expire_certificate, renew_certificate),
    case("customer.credit_limit_exceeded", "finance", owe_more_than_allowed, allow_more),
    case("data_quality.sales_operations", "sales_operations", ask_for_contact, name_contact),
)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.reason)
def test_a_project_waits_for_its_check_and_goes_on(practice: Practice, one: Case) -> None:
    start = begin(practice, one)
    line = by_the_hour(service_code=start.service_code)
    if one.rates is not None:
        line |= {"rates": list(one.rates)}
    quote = practice.offer(start.entity_id, start.customer_id, [line])
    contract_id = practice.approve(quote)
    one.harm(start)
    practice.put_in_force(contract_id)

    paused = practice.run_of(contract_id)
    assert (paused["state"], paused["reason"], paused["owner"]) == (
        "paused",
        one.reason,
        one.owner,
    )
    assert paused["advice"]
    assert list(practice.pmo.pages("/v1/projects", "projects", contract_id=contract_id)) == []

    one.mend(start)
    practice.pmo.post(f"/v1/provisioning-runs/{paused['run_id']}:resume", {})

    [project] = practice.projects(contract_id)
    assert practice.run_of(contract_id)["project_ids"] == [project["project_id"]]


def test_a_run_that_is_given_up_leaves_nothing(practice: Practice) -> None:
    start = begin(practice, CASES[0])
    quote = practice.offer(start.entity_id, start.customer_id, [at_a_fixed_fee()])
    contract_id = practice.approve(quote)
    CASES[0].harm(start)
    practice.put_in_force(contract_id)
    run = practice.run_of(contract_id)

    practice.pmo.post(f"/v1/provisioning-runs/{run['run_id']}:cancel", {"reason": "Deal is off"})

    assert list(practice.pmo.pages("/v1/projects", "projects", contract_id=contract_id)) == []
    assert practice.broken_invariants() == []


def begin(practice: Practice, one: Case) -> Start:
    """Return an entity, a customer, a service and a template of the deal's own."""
    template_code = practice.name("pause").replace(" ", "-")
    entity = practice.found_entity()
    customer = practice.new_customer(tax_id=practice.tax_id())
    start = Start(practice, entity, customer, template_code)
    start.put_service()
    if one.template is not None:
        start.publish_template(one.template)
    return start
