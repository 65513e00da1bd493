"""What policies say against expense lines, and who lets them pass all the same."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from project_provisioning.domain import expense_policy
from project_provisioning.domain.expense_line import ExpenseLine, LineFinding, LineNotFound
from project_provisioning.domain.expense_policy import ContractPolicy, Cost, ExpensePolicy
from project_provisioning.domain.rule_set import Severity
from throughline_core.errors import FailedPrecondition, InvalidArgument


class JustificationMissing(FailedPrecondition):
    """A policy warns about a line, and nobody says why it is right."""

    code = "expense_line.justification_missing"


class PolicyStop(FailedPrecondition):
    """A policy stops a line, and finance made no exception."""

    code = "expense_line.policy_stop"


class NothingToExcept(InvalidArgument):
    """No policy stops the line."""

    code = "expense_line.nothing_to_except"


PolicyOf = Callable[[date], ExpensePolicy]
"""The firm's policy for the report's company on a day."""
ContractPolicyOf = Callable[[UUID, date], ContractPolicy | None]
"""What a contract line says about expenses of a day, None where it says nothing."""


def judge_lines(
    lines: Sequence[ExpenseLine],
    before: Sequence[Cost],
    policy_of: PolicyOf,
    contract_of: ContractPolicyOf,
    *,
    on: date,
) -> tuple[ExpenseLine, ...]:
    """Return one person's lines with what the policies say today; exceptions that were made stay.

    `before` are costs of the same person in other reports.
    """
    costs = [cost_of(line, policy_of, contract_of) for line in lines]
    found = expense_policy.judge(costs, before, on=on)
    return tuple(
        replace(line, findings=_merged(line, each)) for line, each in zip(lines, found, strict=True)
    )


def cost_of(line: ExpenseLine, policy_of: PolicyOf, contract_of: ContractPolicyOf) -> Cost:
    """Return a line as policies look at it."""
    contract_line_id = line.contract_line_id
    return Cost(
        category=line.category,
        incurred_on=line.incurred_on,
        amounts=(
            (line.net_amount,)
            if line.exchange is None
            else (line.net_amount, line.exchange.net_amount)
        ),
        has_receipt=bool(line.receipt_sha256),
        policy=policy_of(line.incurred_on),
        contract=(
            None if contract_line_id is None else contract_of(contract_line_id, line.incurred_on)
        ),
    )


def require_passable(lines: Sequence[ExpenseLine]) -> None:
    """Refuse lines that policies warn about without a reason, or stop without an exception.

    Raises:
        JustificationMissing, PolicyStop.
    """
    for index, line in enumerate(lines):
        for finding in line.findings:
            if finding.excepted_by:
                continue
            if finding.severity is Severity.STOP:
                raise PolicyStop(
                    f"{finding.rule}: {finding.explanation}",
                    field=f"lines[{index}]",
                    advice="change the line, or ask finance for an exception",
                )
            if not line.justification:
                raise JustificationMissing(
                    f"{finding.rule}: {finding.explanation}",
                    field=f"lines[{index}].justification",
                    advice="say why the cost is right",
                )


def except_lines(
    lines: Sequence[ExpenseLine], line_ids: Collection[UUID], *, by: str, at: datetime, reason: str
) -> tuple[ExpenseLine, ...]:
    """Let lines pass although a policy stops them.

    Raises:
        LineNotFound, NothingToExcept.
    """
    missing = set(line_ids) - {line.expense_line_id for line in lines}
    if missing:
        raise LineNotFound(f"no line {min(missing)} on the report", field="expense_line_ids")
    return tuple(
        _excepted(line, by, at, reason) if line.expense_line_id in line_ids else line
        for line in lines
    )


def _excepted(line: ExpenseLine, by: str, at: datetime, reason: str) -> ExpenseLine:
    if not any(map(_is_stopping, line.findings)):
        raise NothingToExcept(
            f"no policy stops line {line.expense_line_id}",
            field="expense_line_ids",
            advice="leave it out",
        )
    findings = (
        replace(each, excepted_by=by, excepted_at=at, exception_reason=reason)
        if _is_stopping(each)
        else each
        for each in line.findings
    )
    return replace(line, findings=tuple(findings))


def _merged(line: ExpenseLine, found: Sequence[expense_policy.Finding]) -> tuple[LineFinding, ...]:
    before = {each.rule: each for each in line.findings}
    merged = []
    for rule, severity, explanation in found:
        known = before.get(rule, LineFinding(rule, severity, explanation))
        merged.append(replace(known, severity=severity, explanation=explanation))
    return tuple(sorted(merged, key=lambda each: each.rule))


def _is_stopping(finding: LineFinding) -> bool:
    return finding.severity is Severity.STOP and not finding.excepted_by
