"""Proposals: what waits for a second person, and what became of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Row, Select, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.cost_rate import CostRateCard
from customer_contract.domain.proposal import Act, Proposal, ProposalStatus
from customer_contract.domain.values import ProposalId
from customer_contract.wire import cost_rate as cost_wire
from customer_contract.wire import proposal as price_wire
from customer_contract.wire.proposal import Content
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit

C = TypeVar("C")


class ProposalNotFound(NotFound):
    """There is no proposal of this id."""

    code = "proposal.not_found"


@dataclass(frozen=True, slots=True)
class Store(Generic[C]):
    """The proposals of one table: prices and costs are kept apart."""

    table: Table
    write_content: Callable[[C], Mapping[str, Any]]
    read_content: Callable[[Mapping[str, Any]], C]
    kind_of: Callable[[C], str] | None = None

    async def get(self, tx: AsyncConnection, proposal_id: ProposalId) -> Proposal[C]:
        """Return the proposal.

        Raises:
            ProposalNotFound: there is none.
        """
        found = await self.load(
            tx, select(self.table).where(self.table.c.proposal_id == proposal_id)
        )
        if not found:
            raise ProposalNotFound(f"there is no proposal {proposal_id}", field="proposal_id")
        return found[0]

    async def load(self, tx: AsyncConnection, query: Select[Any]) -> list[Proposal[C]]:
        """Return the proposals the query over the table yields, in its order."""
        return [self._from(row) for row in await tx.execute(query)]

    async def add(self, tx: AsyncConnection, proposal: Proposal[C]) -> None:
        """Write a new proposal."""
        kind = {} if self.kind_of is None else {"kind": self.kind_of(proposal.content)}
        await tx.execute(
            insert(self.table).values(
                proposal_id=proposal.proposal_id,
                subject=proposal.subject,
                legal_entity_id=proposal.legal_entity_id,
                base_version=proposal.base_version,
                content=self.write_content(proposal.content),
                proposed_by=proposal.proposed.by,
                proposed_at=proposal.proposed.at,
                comment=proposal.proposed.comment,
                **kind,
                **_state_columns(proposal),
            )
        )
        audit.touch(tx, proposal.proposal_id)

    async def save(self, tx: AsyncConnection, proposal: Proposal[C]) -> None:
        """Write the decision.

        Raises:
            StaleVersion: somebody else decided first.
        """
        table = self.table
        written = await tx.execute(
            update(table)
            .where(table.c.proposal_id == proposal.proposal_id)
            .where(table.c.version == proposal.version - 1)
            .values(_state_columns(proposal))
        )
        if written.rowcount != 1:
            raise StaleVersion(f"proposal {proposal.proposal_id} is not at {proposal.version - 1}")
        audit.touch(tx, proposal.proposal_id)

    def _from(self, row: Row[Any]) -> Proposal[C]:
        return Proposal(
            proposal_id=ProposalId(row.proposal_id),
            version=row.version,
            status=ProposalStatus(row.status),
            subject=row.subject,
            legal_entity_id=row.legal_entity_id,
            base_version=row.base_version,
            content=self.read_content(row.content),
            proposed=Act(row.proposed_by, row.proposed_at, row.comment),
            decided=(
                None if row.decided_by is None else Act(row.decided_by, row.decided_at, row.reason)
            ),
        )


def _state_columns(proposal: Proposal[Any]) -> dict[str, object]:
    decided = proposal.decided
    return {
        "version": proposal.version,
        "status": proposal.status,
        "decided_by": None if decided is None else decided.by,
        "decided_at": None if decided is None else decided.at,
        "reason": "" if decided is None else decided.comment,
    }


PRICES: Final[Store[Content]] = Store(
    tables.price_proposal, price_wire.write_content, price_wire.read_content, price_wire.kind_of
)
COSTS: Final[Store[CostRateCard]] = Store(
    tables.cost_rate_proposal, cost_wire.write_content, cost_wire.read_content
)
