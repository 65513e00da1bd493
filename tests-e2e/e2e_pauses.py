"""Every check a project waits for: how it comes to fail, who is told, and what mends it."""

from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import e2e_pause_acts as acts
from e2e_pause_acts import DELIVERY, Act, Sale, offering

from throughline_cli.api import Document
from throughline_cli.story import firm


@dataclass(frozen=True, slots=True)
class Case:
    """What is wrong when the contract comes into force, what is said of it, and what mends it."""

    reason: str
    owner: str
    harm: Act
    mend: Act
    sell: Sale = field(default_factory=offering)
    template: Document | None = field(default_factory=lambda: DELIVERY)
    harm_in_force: Act = acts.nothing
    """What goes wrong after the run was stopped by `harm`."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A check that guards a run against what an earlier request refuses by this code."""

    reason: str
    refused_as: str
    attempt: Act


CREDIT_HOLD: Final = Case("customer.credit_hold", "finance", acts.hold, acts.release)

CASES: Final = (
    Case(
        "contract.term_invalid",
        "sales_operations",
        acts.hold,
        acts.extend_term,
        sell=acts.sell_three_days,
        harm_in_force=acts.outlive_term,
    ),
    CREDIT_HOLD,
    Case(
        "customer.tax_id_missing",
        "sales_operations",
        lambda start: start.patch_customer(tax_id=None),
        lambda start: start.patch_customer(tax_id=start.practice.tax_id()),
    ),
    Case(
        "customer.tax_id_invalid",
        "sales_operations",
        lambda start: start.patch_customer(tax_id="DE123456780"),
        lambda start: start.patch_customer(tax_id=start.practice.tax_id()),
    ),
    Case(
        "catalogue.service_unknown",
        "sales_operations",
        lambda start: start.put_service(retired=True),
        lambda start: start.put_service(),
    ),
    Case(
        "catalogue.billing_model_differs",
        "sales_operations",
        acts.bill_otherwise,
        acts.bill_as_sold,
    ),
    Case(
        "catalogue.template_unknown",
        "pmo",
        acts.nothing,
        acts.offer_own_template,
        sell=acts.sell_own_template,
    ),
    Case(
        "rate_card.no_rate",
        "sales_operations",
        acts.nothing,
        lambda start: start.practice.publish_rate_card(start.entity_id),
        sell=offering(rates=[]),
    ),
    Case(
        "customer.ended",
        "sales_operations",
        lambda start: start.post_customer(
            "sales", "end", {"end_on": start.practice.day(0), "reason": "Moved away"}
        ),
        lambda start: start.post_customer("sales", "reopen", {"reason": "Came back"}),
    ),
    Case(
        "customer.tax_jurisdiction",
        "finance",
        acts.move_customer_abroad,
        acts.register_entity,
    ),
    Case(
        "customer.exemption_expired",
        "finance",
        acts.expire_certificate,
        acts.renew_certificate,
    ),
    Case(
        "contract.purchase_order_expired",
        "sales_operations",
        acts.name_old_order,
        acts.name_new_order,
    ),
    Case(
        "price_policy.breached",
        "sales_operations",
        acts.nothing,
        acts.let_it_pass,
        sell=acts.sell_cheaply_elsewhere,
    ),
    Case(
        "customer.exposure_unknown",
        "integration",
        acts.lose_receivables,
        acts.regain_receivables,
    ),
    Case(
        "customer.credit_limit_exceeded",
        "finance",
        acts.owe_more_than_allowed,
        acts.allow_more,
    ),
    *(
        Case(f"data_quality.{owner}", owner, acts.ask_for_contact(owner), acts.name_contact)
        for owner in ("sales_operations", "pmo", "finance", "integration")
    ),
    Case(
        "template.missing",
        "pmo",
        acts.nothing,
        lambda start: start.publish_template(DELIVERY),
        template=None,
    ),
    Case(
        "template.billing_model_unsupported",
        "pmo",
        acts.nothing,
        lambda start: start.publish_template(DELIVERY),
        template=firm.TEMPLATES["discovery"],
    ),
    Case(
        "template.formula_failed",
        "pmo",
        acts.nothing,
        lambda start: start.publish_template(acts.staffed_by("quantity / max(planned_hours, 1)")),
        sell=offering(rates=acts.agreed_rate(planned_hours="0")),
        template=acts.staffed_by("quantity / planned_hours"),
    ),
    Case(
        "contract_line.person_unknown",
        "sales_operations",
        acts.nothing,
        acts.name_nobody,
        sell=offering(rates=acts.agreed_rate(person_id=str(uuid4()))),
    ),
    Case(
        "erp.account_unknown",
        "integration",
        acts.switch_erp_off,
        acts.put_erp_account,
    ),
    Case(
        "erp.account_missing",
        "integration",
        acts.require_account,
        acts.put_erp_account,
    ),
)

GIVEN_UP: Final = ("contract.not_active", "contract.currency_mixed")
"""Checks that nothing mends: the deal has ended, or has to be agreed anew."""

UNREACHABLE: Final = (
    Unreachable(
        "contract_line.milestones_missing",
        "service_line.terms_missing",
        acts.sell_without_milestones,
    ),
    Unreachable(
        "contract.not_found",
        "contract.not_found",
        lambda start: start.practice.sales.get(f"/v1/contracts/{uuid4()}/readiness"),
    ),
)
