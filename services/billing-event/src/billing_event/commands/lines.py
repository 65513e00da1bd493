"""Finds the contract line that people enter something for."""

from collections.abc import Mapping
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
    def of(cls, contract_id: ContractId, *, field: str = "contract_id") -> Self:
        """Return the refusal for a contract."""
        return cls(
            f"contract {contract_id} is not known as in force",
            field=field,
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


async def require_contracts(tx: AsyncConnection, named: Mapping[str, ContractId | None]) -> None:
    """Check that the contracts which fields of a request name are there for the caller.

    Raises:
        ContractNotFound, EntityForbidden: see `require_agreement`; a typo would match nothing.
    """
    contract_ids = {each for each in named.values() if each is not None}
    if not contract_ids:
        return
    _, agreements = await fact.load_agreements(tx, contract_ids)
    for field, contract_id in named.items():
        if contract_id is None:
            continue
        if contract_id not in agreements:
            raise ContractNotFound.of(contract_id, field=field)
        require_entity(agreements[contract_id].newest.legal_entity_id)
