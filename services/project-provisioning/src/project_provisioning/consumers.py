"""What this service listens to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import following
from project_provisioning.commands import provisioning as commands
from project_provisioning.commands.provisioning import Amendment, End
from project_provisioning.repository import cost as cost_repository
from project_provisioning.repository import expense_terms as terms_repository
from project_provisioning.schedules import ADVANCE_RUNS
from project_provisioning.upkeep import COST_WAITING_TIME, FOLLOW_PARTIES
from project_provisioning.wire.cost import read_card
from project_provisioning.wire.expense_terms import read_line_terms
from project_provisioning.wire.legal_entity import read_legal_entity
from project_provisioning.wire.party import read_customer
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    ContractActivated,
    ContractAmended,
    ContractCompleted,
    ContractTerminated,
    CostRateCardPublished,
    CustomerRecorded,
    LegalEntityRecorded,
)
from throughline_runtime.fields import read_date, read_optional_uuid, read_uuid
from throughline_runtime.subscription import Subscription


async def start_runs(tx: AsyncConnection, events: Sequence[ContractActivated]) -> None:
    """A contract that comes into force gets one provisioning run, however often it is announced."""
    await commands.receive_contracts(tx, [event.contract for event in events])


async def amend_projects(tx: AsyncConnection, events: Sequence[ContractAmended]) -> None:
    """Projects follow each version of their contract's terms, the latest one last."""
    await commands.receive_amendments(
        tx,
        [
            Amendment(event.contract, read_optional_uuid("change_order_id", event.change_order_id))
            for event in events
        ],
    )


async def end_work(tx: AsyncConnection, events: Sequence[ContractTerminated]) -> None:
    """No work is taken for days from the one on which a contract was ended early."""
    await commands.end_contracts(
        tx,
        [
            End(
                read_uuid("contract.contract_id", event.contract.contract_id),
                read_date("contract.terminated_on", event.contract.terminated_on),
                event.contract.version,
            )
            for event in events
        ],
    )


async def complete_work(tx: AsyncConnection, events: Sequence[ContractCompleted]) -> None:
    """No work is taken for days after the one on which everything agreed was done."""
    await commands.end_contracts(
        tx,
        [
            End(
                read_uuid("contract.contract_id", event.contract.contract_id),
                read_date("contract.completed_on", event.contract.completed_on) + timedelta(1),
                event.contract.version,
            )
            for event in events
        ],
    )


async def keep_companies(tx: AsyncConnection, events: Sequence[LegalEntityRecorded]) -> None:
    """Currency, zone and calendar of companies are known here, and open projects follow them."""
    newest = {event.legal_entity.legal_entity_id: event.legal_entity for event in _by_age(events)}
    await following.keep_companies(tx, list(map(read_legal_entity, newest.values())))


async def keep_customers(tx: AsyncConnection, events: Sequence[CustomerRecorded]) -> None:
    """Open projects know their customer by the newest version of it."""
    by_age = sorted(events, key=lambda event: event.customer.version)
    newest = {event.customer.customer_id: event.customer for event in by_age}
    await following.keep_customers(tx, list(map(read_customer, newest.values())))


async def keep_cost_rates(tx: AsyncConnection, events: Sequence[CostRateCardPublished]) -> None:
    """The newest standard costs of each company are what its people's time costs."""
    for event in events:
        await cost_repository.keep_card(tx, read_card(event.cost_rate_card))


async def keep_expense_terms(tx: AsyncConnection, events: Sequence[ContractActivated]) -> None:
    """What the contract takes of expenses is known before the first of them comes in."""
    await terms_repository.keep(
        tx, [terms for event in events for terms in read_line_terms(event.contract)]
    )


async def amend_expense_terms(tx: AsyncConnection, events: Sequence[ContractAmended]) -> None:
    """Each version of a contract says what it takes of expenses from its first day on."""
    await terms_repository.keep(
        tx, [terms for event in events for terms in read_line_terms(event.contract)]
    )


def _by_age(events: Sequence[LegalEntityRecorded]) -> list[LegalEntityRecorded]:
    return sorted(events, key=lambda event: event.legal_entity.version)


SUBSCRIPTIONS: Final = (
    Subscription(
        "project-provisioning-start-runs", ContractActivated, start_runs, wakes=ADVANCE_RUNS
    ),
    Subscription(
        "project-provisioning-amend-projects", ContractAmended, amend_projects, wakes=ADVANCE_RUNS
    ),
    Subscription("project-provisioning-end-work", ContractTerminated, end_work),
    Subscription("project-provisioning-complete-work", ContractCompleted, complete_work),
    Subscription(
        "project-provisioning-keep-companies",
        LegalEntityRecorded,
        keep_companies,
        wakes=FOLLOW_PARTIES,
    ),
    Subscription(
        "project-provisioning-keep-customers",
        CustomerRecorded,
        keep_customers,
        wakes=FOLLOW_PARTIES,
    ),
    Subscription(
        "project-provisioning-keep-cost-rates",
        CostRateCardPublished,
        keep_cost_rates,
        wakes=COST_WAITING_TIME,
    ),
    Subscription("project-provisioning-keep-expense-terms", ContractActivated, keep_expense_terms),
    Subscription("project-provisioning-amend-expense-terms", ContractAmended, amend_expense_terms),
)
