"""The change order itself: its states, and the values it consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from customer_contract.domain.change_order_content import ChangeOrderContent
from customer_contract.domain.contract_terms import Contract, Signature
from customer_contract.domain.term_change import TermChange
from customer_contract.domain.values import ChangeOrderId, ContractId, LegalEntityId


class ChangeOrderStatus(StrEnum):
    """Where a change order stands."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    APPLIED = "applied"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


# An approved change order is proposed again when the contract has moved on since.
TRANSITIONS: Final[Mapping[ChangeOrderStatus, frozenset[ChangeOrderStatus]]] = {
    ChangeOrderStatus.DRAFT: frozenset({ChangeOrderStatus.PROPOSED, ChangeOrderStatus.WITHDRAWN}),
    ChangeOrderStatus.PROPOSED: frozenset(
        {ChangeOrderStatus.APPROVED, ChangeOrderStatus.REJECTED, ChangeOrderStatus.WITHDRAWN}
    ),
    ChangeOrderStatus.APPROVED: frozenset(
        {ChangeOrderStatus.APPLIED, ChangeOrderStatus.PROPOSED, ChangeOrderStatus.WITHDRAWN}
    ),
    ChangeOrderStatus.APPLIED: frozenset(),
    ChangeOrderStatus.REJECTED: frozenset(),
    ChangeOrderStatus.WITHDRAWN: frozenset(),
}
OPEN: Final = frozenset(status for status, targets in TRANSITIONS.items() if targets)


@dataclass(frozen=True, slots=True)
class ChangeApproval:
    """Who approved which version of the terms, when, and the customer's signature."""

    by: str
    at: datetime
    signature: Signature
    contract_version: int


@dataclass(frozen=True, slots=True)
class Application:
    """When a change order was applied, and the versions of the terms it made."""

    at: datetime
    contract_versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """A change to one contract, whose legal entity, currency and lineage it carries.

    `effective_on` is the first day, in the contract's zone, the new terms are to hold.
    """

    change_order_id: ChangeOrderId
    version: int
    number: str
    contract_id: ContractId
    legal_entity_id: LegalEntityId
    engagement_id: UUID
    correlation_id: UUID
    currency: str
    status: ChangeOrderStatus
    reason: str
    effective_on: date
    content: ChangeOrderContent
    drafted_by: str
    proposed_by: str | None = None
    approval: ChangeApproval | None = None
    application: Application | None = None
    closing_reason: str = ""


@dataclass(frozen=True, slots=True)
class ChangeOrderApproved:
    """Both sides agreed; `changes` is what is to change."""

    change_order: ChangeOrder
    changes: tuple[TermChange, ...]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a change order is judged on: all signed versions of the terms, the latest one last.

    `closed_through` is the last day of the entity's closed periods, `today` the contract's.
    """

    history: tuple[Contract, ...]
    closed_through: date | None
    today: date

    @property
    def contract(self) -> Contract:
        """The contract as it stands."""
        return self.history[-1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The terms that hold for the effective day, and what the change order makes of them."""

    before: Contract
    after: Contract
    changes: tuple[TermChange, ...]
