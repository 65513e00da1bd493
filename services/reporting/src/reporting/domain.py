"""What the read models are made of, and the arithmetic of positions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from throughline_core.errors import InvalidArgument, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money


class Kind(StrEnum):
    """What a node of the chain stands for, from the origin to the outcome."""

    SOURCE_RECORD = "source_record"
    QUOTE_LINE = "quote_line"
    CONTRACT_LINE = "contract_line"
    PROJECT = "project"
    TASK = "task"
    MILESTONE = "milestone"
    TIME_ENTRY = "time_entry"
    EXPENSE_LINE = "expense_line"
    PURCHASE = "purchase"
    SERVICE_PERIOD = "service_period"
    PROGRESS_STEP = "progress_step"
    USAGE_PERIOD = "usage_period"
    ADJUSTMENT = "adjustment"
    RETAINER_PERIOD = "retainer_period"
    INTERCOMPANY_CHARGE = "intercompany_charge"
    BILLING_EVENT = "billing_event"
    INVOICE_LINE = "invoice_line"
    INVOICE = "invoice"
    CREDIT_LINE = "credit_line"
    CREDIT_NOTE = "credit_note"
    CREDIT_APPLICATION = "credit_application"
    PAYMENT_ALLOCATION = "payment_allocation"
    PAYMENT = "payment"
    JOURNAL_ENTRY = "journal_entry"


class UnknownKind(InvalidArgument):
    """No node of the chain has this kind."""

    code = "lineage.kind_unknown"


class LineageNotFound(NotFound):
    """Nothing of this kind has this id or name, or it has not arrived here yet."""

    code = "lineage.not_found"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing on the chain. `quantity` is minutes for time and the billed quantity elsewhere.

    `treatment` is what becomes of a rated row: `invoiced`, `prepayment`, `drawn`; else empty.
    `personal_label` says who did it and what they wrote, for those who may see it; None where the
    label holds nothing personal.
    """

    kind: Kind
    object_id: str
    label: str
    version: int = 1
    state: str = ""
    quantity: Decimal = Decimal(0)
    amount: Decimal | None = None
    currency: str | None = None
    happened_on: date | None = None
    contract_line_id: str | None = None
    legal_entity_id: str | None = None
    personal_label: str | None = None
    treatment: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """That the parent became the child."""

    parent_kind: Kind
    parent_id: str
    child_kind: Kind
    child_id: str
    quantity: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ContractLine:
    """The part of a contract whose position is shown."""

    contract_line_id: str
    contract_id: str
    version: int
    contract_number: str
    quote_line_id: str
    legal_entity_id: str
    customer_id: str
    line_position: int
    description: str
    billing_model: str
    currency: str
    contracted: Decimal
    contract_status: str = "active"


@dataclass(slots=True)
class Rows:
    """What a batch of events adds to the read models."""

    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    contract_lines: list[ContractLine] = field(default_factory=list)

    def newest_nodes(self) -> list[Node]:
        """Return each node once, in its newest version: one statement may touch a row once."""
        newest: dict[tuple[Kind, str], Node] = {}
        for node in self.nodes:
            key = (node.kind, node.object_id)
            known = newest.get(key)
            if known is None or known.version <= node.version:
                newest[key] = node
        return list(newest.values())


def source_record_id(system: str, object_type: str, object_id: str) -> UUID:
    """Return the id under which a record of another system stands on the chain."""
    return derived_id("source_record", system, object_type, object_id)


@dataclass(frozen=True, slots=True)
class InvoicedLine:
    """A line of an issued invoice with what was paid on the whole invoice."""

    contract_line_id: UUID
    net: Money
    invoice_gross: Money
    invoice_paid: Money


def paid_by_contract_line(lines: Sequence[InvoicedLine]) -> dict[UUID, Money]:
    """Share what one invoice was paid among its contract lines, before tax, to the cent.

    The part of the payments that is not tax is paid × net ÷ gross, rounded once; its parts go by
    the lines' net amounts and sum to it. A fully paid invoice gives each line exactly its net.
    """
    first = lines[0]
    currency = first.net.currency
    net = Money.total((line.net for line in lines), currency)
    if first.invoice_gross.is_zero or net.is_zero:
        return {line.contract_line_id: Money.zero(currency) for line in lines}
    paid_net = Money(
        first.invoice_paid.amount * net.amount / first.invoice_gross.amount, currency
    ).rounded()
    shares = paid_net.split([abs(line.net.amount) for line in lines])
    paid: dict[UUID, Money] = {}
    for line, share in zip(lines, shares, strict=True):
        known = paid.get(line.contract_line_id, Money.zero(currency))
        paid[line.contract_line_id] = known + share
    return paid
