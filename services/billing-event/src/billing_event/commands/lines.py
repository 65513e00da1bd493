"""Finds the contract line that people enter something for."""

from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.agreement import Agreement
from billing_event.domain.source import ContractId
from billing_event.repository import fact
from throughline_core.errors import NotFound
from throughline_runtime.identity import require_entity


class ContractNotFound(NotFound):
    """No such contract in force, as far as is known here."""

    code = "contract.not_found"

    @classmethod
    def of(cls, contract_id: ContractId) -> Self:
        """Return the refusal for a contract."""
        return cls(
            f"contract {contract_id} is not known as in force",
            field="contract_id",
            advice="activate it first; shortly after that it is known here",
        )


async def require_agreement(tx: AsyncConnection, contract_id: ContractId) -> Agreement:
    """Return a contract with all versions of its terms.

    Raises:
        ContractNotFound: it has not come into force, as far as is known here.
        EntityForbidden: it is not for the caller.
    """
    _, agreements = await fact.load_agreements(tx, [contract_id])
    agreement = agreements.get(contract_id)
    if agreement is None:
        raise ContractNotFound.of(contract_id)
    require_entity(agreement.newest.legal_entity_id)
    return agreement
