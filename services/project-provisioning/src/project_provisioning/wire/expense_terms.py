"""What contract lines say about expenses, from the contract's terms."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from google.protobuf.json_format import MessageToDict, ParseDict

from project_provisioning.domain.expense_policy import ContractPolicy, ContractRule
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline_runtime.fields import read_date, read_money, read_uuid


class LineTerms(NamedTuple):
    """What a version of a contract says about the expenses of one line, as it is stored."""

    contract_line_id: UUID
    contract_version: int
    effective_on: date
    policy: Mapping[str, Any]


def read_line_terms(contract: contract_pb2.Contract) -> Iterator[LineTerms]:
    """Yield what the contract's pass-through lines say about expenses, those that say anything."""
    effective_on = read_date("terms_effective_on", contract.terms_effective_on or contract.start_on)
    for line in contract.lines:
        if line.terms.billing_model == quote_pb2.BILLING_MODEL_PASS_THROUGH and line.terms.HasField(
            "expense_policy"
        ):
            yield LineTerms(
                contract_line_id=read_uuid("contract_line_id", line.contract_line_id),
                contract_version=max(contract.contract_version, 1),
                effective_on=effective_on,
                policy=MessageToDict(line.terms.expense_policy, preserving_proto_field_name=True),
            )


def read_stored(stored: Mapping[str, Any]) -> ContractPolicy:
    """Return what a contract line says, as it is stored."""
    policy = ParseDict(dict(stored), quote_pb2.ExpensePolicy())
    return ContractPolicy(
        rules=tuple(
            ContractRule(
                rule.category,
                read_money("daily_cap", rule.daily_cap) if rule.HasField("daily_cap") else None,
            )
            for rule in policy.rules
        ),
        receipt_from=(
            read_money("receipt_from", policy.receipt_from)
            if policy.HasField("receipt_from")
            else None
        ),
    )
