"""Quotes and contracts: what was sold, and what is agreed of it now."""

from decimal import Decimal

from reporting.domain import ContractLine, Kind, Link, Node, Rows
from reporting.folds.common import add_source, day, label
from throughline.customer_contract.v1 import contract_pb2, quote_pb2


def fold_quote(rows: Rows, quote: quote_pb2.Quote) -> None:
    """An approved quote puts its lines on the chain, and the records they came from."""
    for line in quote.lines:
        add_source(rows, line, Kind.QUOTE_LINE, line.quote_line_id)
        rows.nodes.append(
            Node(
                kind=Kind.QUOTE_LINE,
                object_id=line.quote_line_id,
                label=label(f"{quote.number} line {line.position}: {line.description}"),
                version=quote.quote_version,
                amount=Decimal(line.net_total.amount),
                currency=line.net_total.currency,
                happened_on=day(quote.start_on),
                legal_entity_id=quote.legal_entity_id or None,
            )
        )


def fold_contract(rows: Rows, contract: contract_pb2.Contract) -> None:
    """A contract's lines follow from quote lines and have positions from now on.

    The newest version says what is contracted: amounts move with change orders. A line that a
    change order added follows from no quote line.
    """
    for line in contract.lines:
        terms = line.terms
        if terms.quote_line_id:
            rows.links.append(
                Link(
                    Kind.QUOTE_LINE, terms.quote_line_id, Kind.CONTRACT_LINE, line.contract_line_id
                )
            )
        rows.nodes.append(
            Node(
                kind=Kind.CONTRACT_LINE,
                object_id=line.contract_line_id,
                label=label(f"{contract.number} line {terms.position}: {terms.description}"),
                version=contract.version,
                state=str(contract.contract_version),
                amount=Decimal(terms.net_total.amount),
                currency=terms.net_total.currency,
                happened_on=day(contract.activated_on or contract.start_on),
                contract_line_id=line.contract_line_id,
                legal_entity_id=contract.legal_entity_id,
            )
        )
        rows.contract_lines.append(
            ContractLine(
                contract_line_id=line.contract_line_id,
                contract_id=contract.contract_id,
                version=contract.version,
                contract_number=contract.number,
                quote_line_id=terms.quote_line_id,
                legal_entity_id=contract.legal_entity_id,
                customer_id=contract.customer_id,
                line_position=terms.position,
                description=terms.description,
                billing_model=_billing_model(terms.billing_model),
                currency=contract.currency,
                contracted=Decimal(terms.net_total.amount),
                contract_status=_status_of(contract, line),
            )
        )


def _status_of(contract: contract_pb2.Contract, line: contract_pb2.ContractLine) -> str:
    """Return the contract's state; the amount of a line cut short is not agreed any more."""
    if line.ended_on:
        return "ended"
    return (
        contract_pb2.ContractStatus.Name(contract.status).removeprefix("CONTRACT_STATUS_").lower()
    )


def _billing_model(value: quote_pb2.BillingModel.ValueType) -> str:
    return quote_pb2.BillingModel.Name(value).removeprefix("BILLING_MODEL_").lower()
