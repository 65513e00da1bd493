"""What happened to a contract, with its terms and state after it."""

from dataclasses import dataclass

from customer_contract.domain.contract_terms import Contract
from customer_contract.domain.term_change import TermChange
from customer_contract.domain.values import ChangeOrderId


@dataclass(frozen=True, slots=True)
class ContractSigned:
    """The customer signed."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractActivated:
    """A signed contract came into force."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractLimitChanged:
    """A limit of an active contract was moved."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractAmended:
    """A change order made this version of the terms; `changes` is what it made differ."""

    contract: Contract
    change_order_id: ChangeOrderId
    change_order_number: str
    changes: tuple[TermChange, ...]
    is_retroactive: bool


@dataclass(frozen=True, slots=True)
class ContractTerminated:
    """The contract was ended early."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class ContractCompleted:
    """Everything agreed was done."""

    contract: Contract


ContractEvent = (
    ContractSigned
    | ContractActivated
    | ContractLimitChanged
    | ContractAmended
    | ContractTerminated
    | ContractCompleted
)
