"""Checks: what has to be so before a project is made, who mends what is not, and how."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.formula import FormulaFailed
from project_provisioning.domain.template import Plan, Template
from project_provisioning.domain.terms import SoldLine, Terms

PMO: Final = "pmo"
SALES_OPERATIONS: Final = "sales_operations"
INTEGRATION: Final = "integration"

CONTRACT_NOT_ACTIVE: Final = "contract.not_active"
TEMPLATE_MISSING: Final = "template.missing"
TEMPLATE_UNFIT: Final = "template.billing_model_unsupported"
FORMULA_FAILED: Final = "template.formula_failed"
MILESTONES_MISSING: Final = "contract_line.milestones_missing"
PERSON_UNKNOWN: Final = "contract_line.person_unknown"
ERP_ACCOUNT_MISSING: Final = "erp.account_missing"
ERP_ACCOUNT_UNKNOWN: Final = "erp.account_unknown"

MENDED_BY_TEMPLATE: Final = frozenset({TEMPLATE_UNFIT, FORMULA_FAILED})
"""Failures the next version of the template may mend."""

CANNOT_PLAN: Final = frozenset({TEMPLATE_MISSING, FORMULA_FAILED, MILESTONES_MISSING})
"""Failures with which not even a plan can be drawn up."""

_CATALOGUE: Final = "catalogue."
_WHOLE: Final = Decimal(100)


class ErpAccount(StrEnum):
    """What is known of a customer's account in the ERP of the entity that sells."""

    NOT_REQUIRED = "not_required"
    EXISTS = "exists"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition a project needs; `owner` can mend it as `advice` says when it failed."""

    code: str
    passed: bool
    owner: str
    advice: str
    contract_line_ids: tuple[str, ...] = ()
    """Lines it is not so for; empty when it concerns the contract as a whole."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What terms are judged on; `made_lines` have their tasks already and are not judged again."""

    templates: Mapping[str, Template]
    known_persons: Collection[UUID]
    erp_account: ErpAccount
    made_lines: Collection[UUID] = frozenset()


def own_checks(terms: Terms, grounds: Grounds) -> Sequence[Check]:
    """Return this service's checks, one of each code, those that failed with their lines."""
    found: defaultdict[str, list[tuple[Check, SoldLine]]] = defaultdict(list)
    for line in terms.lines:
        if line.contract_line_id not in grounds.made_lines:
            for check in _line_checks(line, grounds):
                found[check.code].append((check, line))
    return [*map(_merged, found.values()), *_erp_checks(grounds.erp_account)]


def of_new_lines(checks: Sequence[Check], made_lines: Collection[UUID]) -> Sequence[Check]:
    """Return a peer's checks without what the catalogue says of lines that have their tasks.

    It says what may be sold from now on: a service that was retired since is delivered to its end.
    """
    return [_of_new_lines(check, set(map(str, made_lines))) for check in checks]


def _of_new_lines(check: Check, made: Collection[str]) -> Check:
    if check.passed or not check.code.startswith(_CATALOGUE) or not check.contract_line_ids:
        return check
    new = tuple(line_id for line_id in check.contract_line_ids if line_id not in made)
    if new:
        return replace(check, contract_line_ids=new)
    return _check(check.code, True, check.owner, "")


def has_failed(checks: Sequence[Check], code: str) -> bool:
    """Return whether the check of this code was made and failed."""
    return any(check.code == code and not check.passed for check in checks)


def unfit_codes(terms: Terms, checks: Sequence[Check]) -> frozenset[str]:
    """Return codes of the templates that failed for a line in a way a next version may mend."""
    lines = {
        line_id
        for check in checks
        if check.code in MENDED_BY_TEMPLATE and not check.passed
        for line_id in check.contract_line_ids
    }
    return frozenset(
        line.template_code for line in terms.lines if str(line.contract_line_id) in lines
    )


def _merged(judged: Sequence[tuple[Check, SoldLine]]) -> Check:
    failed = [(check, line) for check, line in judged if not check.passed]
    if not failed:
        return judged[0][0]
    [first, *_] = failed
    return Check(
        first[0].code,
        False,
        first[0].owner,
        "; ".join(dict.fromkeys(check.advice for check, _ in failed)),
        tuple(str(line.contract_line_id) for _, line in failed),
    )


def _line_checks(line: SoldLine, grounds: Grounds) -> Iterator[Check]:
    template = grounds.templates.get(line.template_code)
    yield _check(
        TEMPLATE_MISSING,
        template is not None,
        PMO,
        f"publish delivery template {line.template_code}",
    )
    if template is None:
        return
    yield _check(
        TEMPLATE_UNFIT,
        line.billing_model in template.billing_models,
        PMO,
        f"publish a version of {line.template_code} that serves {line.billing_model}",
    )
    plan = template.plan_of(line.billing_model, line.region)
    fault = _fault_of(plan, line)
    yield _check(
        FORMULA_FAILED,
        fault is None,
        PMO,
        f"publish a version of {line.template_code} whose formulas hold for line "
        f"{line.position}: {fault}",
    )
    if line.needs_milestones:
        yield _check(
            MILESTONES_MISSING,
            bool(plan.milestones) if not line.milestones else _is_whole(line),
            SALES_OPERATIONS,
            f"agree milestones that sum to the net total of line {line.position}",
        )
    unknown = [
        sold.role
        for sold in line.roles
        if sold.person_id is not None and sold.person_id not in grounds.known_persons
    ]
    yield _check(
        PERSON_UNKNOWN,
        not unknown,
        SALES_OPERATIONS,
        f"agree line {line.position} anew with somebody who is recorded as {', '.join(unknown)}",
    )


def _erp_checks(account: ErpAccount) -> Iterator[Check]:
    is_known = account is not ErpAccount.UNKNOWN
    yield _check(
        ERP_ACCOUNT_UNKNOWN,
        is_known,
        INTEGRATION,
        "switch the ERP's connection on, or record the customer's account there",
    )
    if is_known:
        yield _check(
            ERP_ACCOUNT_MISSING,
            account is not ErpAccount.MISSING,
            INTEGRATION,
            "open the customer's account in the entity's ERP and record it",
        )


def _check(code: str, passed: bool, owner: str, advice: str) -> Check:
    return Check(code, passed, owner, "" if passed else advice)


def _is_whole(line: SoldLine) -> bool:
    """Return whether the agreed milestones make up the line, as amounts or as shares."""
    amounts = [part.amount for part in line.milestones if part.amount is not None]
    if len(amounts) == len(line.milestones):
        return sum((amount.amount for amount in amounts), Decimal(0)) == line.net_total.amount
    return sum((part.share_percent or Decimal(0) for part in line.milestones), Decimal(0)) == _WHOLE


def _fault_of(plan: Plan, line: SoldLine) -> str | None:
    """Return what is wrong with the first formula that has no value for the line."""
    values = line.values
    formulas = [
        *(budget.formula for budget in plan.budgets),
        *(role.formula for role in plan.roles),
        *(milestone.due_after_days for milestone in plan.milestones),
    ]
    for task in plan.tasks():
        formulas += (task.hours, task.starts_after_days, task.lasts_days)
    try:
        for formula in formulas:
            if formula is not None:
                formula.value(values)
    except FormulaFailed as failed:
        return failed.message
    return None
