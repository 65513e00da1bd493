"""What the rules of expenses ask: loaded for all lines of a request at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.exchange_rate import RateTable
from project_provisioning.domain.expense import ExpenseReport
from project_provisioning.domain.expense_findings import ContractPolicyOf, cost_of, judge_lines
from project_provisioning.domain.expense_line import (
    Claim,
    ExpenseLine,
    LineFacts,
    claim_line,
    employer_on,
)
from project_provisioning.domain.expense_policy import NO_POLICY, ContractPolicy, ExpensePolicy
from project_provisioning.domain.rule_set import RuleBook
from project_provisioning.domain.unassigned_expense import ImportedCost
from project_provisioning.repository import document as document_repository
from project_provisioning.repository import employment as employment_repository
from project_provisioning.repository import exchange_rate as rate_repository
from project_provisioning.repository import expense as repository
from project_provisioning.repository import expense_terms as terms_repository
from project_provisioning.repository import legal_entity as entity_repository
from project_provisioning.repository import lock as lock_repository
from project_provisioning.repository import project as project_repository
from project_provisioning.repository import rule_set as rule_repository
from throughline_runtime.identity import require_entity


async def load(
    tx: AsyncConnection, person_ids: Sequence[UUID], claims: Sequence[Claim]
) -> LineFacts:
    """Return what is known of these costs: a constant number of queries."""
    employments = await employment_repository.of_people(tx, person_ids)
    entity_ids = {each.legal_entity_id for found in employments.values() for each in found}
    entities = await entity_repository.of(tx, entity_ids)
    policies = await rule_repository.expense_policies(tx)
    currencies = {claim.net_amount.currency for claim in claims}
    currencies |= {entity.currency for entity in entities.values()}
    days = [claim.incurred_on for claim in claims]
    return LineFacts(
        projects=await project_repository.get_all(tx, {claim.project_id for claim in claims}),
        receipts=await document_repository.kept(
            tx, {claim.receipt_sha256 for claim in claims if claim.receipt_sha256}
        ),
        employments=employments,
        entities=entities,
        rates=(
            await rate_repository.table_for(
                tx, currencies, min(days), max(days), days_max=_days_max(policies)
            )
            if days
            else RateTable(())
        ),
        policies=policies,
        open_from=await lock_repository.open_from(tx, entity_ids),
    )


async def receipts_of(tx: AsyncConnection, costs: Sequence[ImportedCost]) -> frozenset[str]:
    """Return the hashes of those receipts that were uploaded."""
    hashes = {cost.receipt_sha256 for cost in costs if cost.receipt_sha256}
    return await document_repository.kept(tx, hashes)


def take(
    claim: Claim, facts: LineFacts, person_id: UUID, *, line_id: UUID, field: str
) -> tuple[UUID, ExpenseLine]:
    """Return a cost as a line, and the company that bears it; `field` ends in a point.

    Raises:
        EntityForbidden: the caller may not act for that company.
        NotEmployed, PeriodLocked: see `domain.expense_line.employer_on`.
        ProjectNotFound, AmountInvalid, ...: see `domain.expense_line.claim_line`.
    """
    entity = employer_on(facts, person_id, claim.incurred_on, field=field)
    require_entity(entity)
    line = claim_line(claim, facts, legal_entity_id=entity, line_id=line_id, field=field)
    return entity, line


async def judge(
    tx: AsyncConnection,
    reports: Sequence[ExpenseReport],
    policies: RuleBook[ExpensePolicy],
    *,
    on: date,
) -> list[ExpenseReport]:
    """Return open reports with what the policies say about their lines today: two queries.

    Lines of one person's reports count towards each other's daily caps, in this order.
    """
    contract_of = await contract_policies(tx, [line for each in reports for line in each.lines])
    days: dict[UUID, set[date]] = {}
    for report in reports:
        wanted = days.setdefault(report.person.person_id, set())
        wanted.update(line.incurred_on for line in report.lines)
    others = await repository.costs_of_days(
        tx, days, but=[report.expense_report_id for report in reports]
    )
    before = {person_id: list(lines) for person_id, lines in others.items()}
    judged = []
    for report in reports:
        seen = before.setdefault(report.person.person_id, [])
        policy_of = policy_in(policies, report.legal_entity_id)
        costs = [cost_of(line, policy_of, contract_of) for line in seen]
        lines = judge_lines(report.lines, costs, policy_of, contract_of, on=on)
        judged.append(replace(report, lines=lines))
        seen.extend(report.lines)
    return judged


async def contract_policies(tx: AsyncConnection, lines: Sequence[ExpenseLine]) -> ContractPolicyOf:
    """Return what the contract lines of these costs say about expenses of a day."""
    billed = {line.contract_line_id for line in lines if line.contract_line_id is not None}
    versions = await terms_repository.of_lines(tx, billed)
    return lambda line_id, day: _in_force(versions, line_id, day)


def policy_in(
    policies: RuleBook[ExpensePolicy], legal_entity_id: UUID
) -> Callable[[date], ExpensePolicy]:
    """Return the firm's policy for a company's people, by day."""

    def policy_of(day: date) -> ExpensePolicy:
        found = policies.in_force(legal_entity_id, day)
        return NO_POLICY if found is None else found.rules

    return policy_of


def _in_force(
    versions: Mapping[UUID, Sequence[tuple[date, ContractPolicy]]], line_id: UUID, day: date
) -> ContractPolicy | None:
    return next(
        (policy for effective_on, policy in versions.get(line_id, ()) if effective_on <= day), None
    )


def _days_max(policies: RuleBook[ExpensePolicy]) -> int:
    configured = (each.rules.exchange_rate_days_max for each in policies.versions)
    return max((NO_POLICY.exchange_rate_days_max, *configured))
