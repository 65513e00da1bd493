"""What reporting leaves behind for each event its publishers agreed to send."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reporting.consumers import SUBSCRIPTIONS
from throughline_runtime.database import read, write
from throughline_runtime.subscription import Subscription
from throughline_testing.samples import sample

# The kinds of things each event puts on the chain.
EXPECTED = {
    "customer_contract.quote.approved.v1": {"quote_line"},
    "customer_contract.contract.activated.v1": {"contract_line"},
    "customer_contract.contract.limit_changed.v1": {"contract_line"},
    "customer_contract.contract.amended.v1": {"contract_line"},
    "customer_contract.contract.terminated.v1": {"contract_line"},
    "customer_contract.contract.completed.v1": {"contract_line"},
    "project_provisioning.project.changed.v1": {"project", "task", "milestone"},
    "project_provisioning.milestone.acceptance_withdrawn.v1": {"milestone"},
    "project_provisioning.project.activated.v1": {"project", "task", "milestone"},
    "project_provisioning.milestone.completed.v1": {"milestone"},
    "project_provisioning.milestone.accepted.v1": {"milestone"},
    "project_provisioning.milestone.rejected.v1": {"milestone"},
    "project_provisioning.time.approved.v1": {"time_entry"},
    "project_provisioning.expense_report.approved.v1": {"expense_line"},
    "billing_event.batch.rated.v1": {"billing_event"},
    "billing_event.batch.changed.v1": {"billing_event"},
    "billing_event.batch.released.v1": {"billing_event"},
    "billing_event.batch.written_off.v1": {"billing_event"},
    "billing_event.intercompany.rated.v1": {"intercompany_charge"},
    "billing_event.retainer_period.changed.v1": {"retainer_period"},
    "invoice_payment.invoice.credited.v1": {"credit_note", "credit_line", "credit_application"},
    "invoice_payment.invoice.items_credited.v1": set(),
    "invoice_payment.credit.applied.v1": {"credit_application"},
    "invoice_payment.invoice.issued.v1": {"invoice", "invoice_line"},
    "invoice_payment.invoice.lines_continued.v1": {"invoice_line"},
    "invoice_payment.invoice.items_billed.v1": set(),
    "invoice_payment.invoice.settled.v1": {"payment_allocation"},
    "invoice_payment.payment.received.v1": {"payment"},
    "invoice_payment.journal.posted.v1": {"journal_entry"},
}


def test_every_subscription_has_an_expectation() -> None:
    assert {subscription.subject for subscription in SUBSCRIPTIONS} == set(EXPECTED)


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS, ids=lambda each: each.durable)
async def test_an_agreed_event_puts_its_things_on_the_chain(
    engine: AsyncEngine, subscription: Subscription[Any]
) -> None:
    event = sample(subscription.message)

    async with write(engine) as tx:
        await subscription.function(tx, [event, event])

    async with read(engine) as tx:
        kinds = set((await tx.execute(text("SELECT DISTINCT kind FROM node"))).scalars())
    assert kinds - {"source_record"} == EXPECTED[subscription.subject]
