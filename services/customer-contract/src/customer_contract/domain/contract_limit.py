"""Limits: not-to-exceeds on a contract as a whole and on its open-ended lines."""

from dataclasses import replace

from customer_contract.domain.contract_terms import Contract
from customer_contract.domain.service_line import LIMITED_MODELS
from customer_contract.domain.values import ContractLineId, require_currency
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money


class LineNotFound(NotFound):
    """The contract has no such line."""

    code = "contract.line_not_found"


class LimitNotApplicable(FailedPrecondition):
    """The line's amount is agreed; there is nothing to limit."""

    code = "contract.limit_not_applicable"


class LimitNotPositive(InvalidArgument):
    """A limit of nought or less would stop everything; a credit hold does that."""

    code = "contract.limit_not_positive"


class LimitUnchanged(FailedPrecondition):
    """The limit is this already."""

    code = "contract.limit_unchanged"


def with_limit(
    contract: Contract, limit: Money | None, *, contract_line_id: ContractLineId | None
) -> Contract:
    """Return the contract with the limit of a line, or the one over all lines; None lifts it.

    Raises:
        LineNotFound, LimitNotApplicable: the line.
        LimitUnchanged, LimitNotPositive, MixedCurrencies: the limit.
    """
    require_limit(limit, contract.currency)
    moved = (
        replace(contract, billing=replace(contract.billing, not_to_exceed=limit))
        if contract_line_id is None
        else _with_line_limit(contract, contract_line_id, limit)
    )
    if moved == contract:
        raise LimitUnchanged(
            f"the limit of contract {contract.number} is this already", field="not_to_exceed"
        )
    return moved


def require_limit(limit: Money | None, currency: str) -> None:
    """Refuse a limit that stops everything, or is in another currency; None passes.

    Raises:
        LimitNotPositive, MixedCurrencies.
    """
    require_currency(limit, currency, field="not_to_exceed")
    if limit is not None and limit <= Money.zero(currency):
        raise LimitNotPositive(
            "a limit is above nought",
            field="not_to_exceed",
            advice="place a credit hold to stop everything",
        )


def _with_line_limit(
    contract: Contract, contract_line_id: ContractLineId, limit: Money | None
) -> Contract:
    line = next((one for one in contract.lines if one.contract_line_id == contract_line_id), None)
    if line is None:
        raise LineNotFound(
            f"contract {contract.number} has no line {contract_line_id}", field="contract_line_id"
        )
    if line.terms.billing_model not in LIMITED_MODELS:
        raise LimitNotApplicable(
            f"a line billed as {line.terms.billing_model} has an agreed amount",
            field="contract_line_id",
        )
    terms = replace(line.terms, terms=replace(line.terms.terms, not_to_exceed=limit))
    lines = tuple(replace(one, terms=terms) if one is line else one for one in contract.lines)
    return replace(contract, lines=lines)
