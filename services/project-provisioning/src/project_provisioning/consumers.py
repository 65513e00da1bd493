"""What this service listens to."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import provisioning as commands
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import ContractActivated
from throughline_runtime.subscription import Subscription


async def start_runs(tx: AsyncConnection, events: Sequence[ContractActivated]) -> None:
    """A contract that comes into force gets one provisioning run, however often it is announced."""
    await commands.receive_contracts(tx, [event.contract for event in events])


SUBSCRIPTIONS: Final = (
    Subscription("project-provisioning-start-runs", ContractActivated, start_runs),
)
