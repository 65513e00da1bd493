"""What customer-contract does by the clock: what was agreed for a day holds from that day on."""

from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import change_order as change_orders
from customer_contract.commands import contract as contracts
from customer_contract.commands import quote_decision as quote_decisions
from customer_contract.domain.values import ChangeOrderId, ContractId
from customer_contract.repository import change_order as change_order_repository
from customer_contract.repository import contract as contract_repository
from customer_contract.wire.change_order import write_change_order
from customer_contract.wire.contract import write_contract
from throughline.customer_contract.v1 import change_order_service_pb2 as change_order_pb
from throughline.customer_contract.v1 import contract_service_pb2 as contract_pb
from throughline_core.errors import Aborted, Refusal, Unavailable
from throughline_runtime import audit, exceptions
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.schedule import Schedule

_AT_MOST: Final = 200

# Nobody asks for it: this is how the audit names what the clock did.
_EXPIRY: Final = "throughline.customer_contract.v1.ExpireQuotes"

_log: Final = structlog.get_logger(__name__)


async def activate_due(context: Context) -> None:
    """Put contracts into force that were signed to do so by themselves when their term begins."""
    async with read(context.engine) as tx:
        due = await contract_repository.due_for_activation(
            tx, context.clock.now(), at_most=_AT_MOST
        )
    for contract_id in due:
        try:
            await _activate(context, contract_id)
        except Refusal as refusal:
            # The next one does not wait for it; it is tried again the next time.
            _log.warning(
                "activation_put_off", contract_id=str(contract_id), code=refusal.stable_code
            )


async def apply_due(context: Context) -> None:
    """Apply approved change orders whose day has come; what stops one waits for a person."""
    async with read(context.engine) as tx:
        due = await change_order_repository.due(tx, context.clock.now(), at_most=_AT_MOST)
    for change_order_id in due:
        try:
            await _apply(context, change_order_id)
        except (Aborted, Unavailable) as refusal:
            _log.warning(
                "change_order_put_off",
                change_order_id=str(change_order_id),
                code=refusal.stable_code,
            )
        except Refusal as refusal:
            await _report(context, change_order_id, refusal)


async def expire_quotes(context: Context) -> None:
    """Let offers expire whose last day is gone in their entity's zone, a chunk at a time."""
    expired = _AT_MOST
    while expired == _AT_MOST:
        async with write(context.engine) as tx:
            expired = await quote_decisions.expire_due(
                tx, today=context.clock.today, limit=_AT_MOST
            )
            if expired:
                await audit.note(tx, _EXPIRY)


async def _activate(context: Context, contract_id: ContractId) -> None:
    request = contract_pb.ActivateContractRequest(
        request_id=f"due:{contract_id}", contract_id=str(contract_id)
    )

    async def handle(tx: AsyncConnection) -> contract_pb.ActivateContractResponse:
        contract = await contracts.activate_due(
            tx, contract_id, today=context.clock.today, at=context.clock.now()
        )
        return contract_pb.ActivateContractResponse(contract=write_contract(contract))

    await once(context.engine, request, contract_pb.ActivateContractResponse, handle)


async def _apply(context: Context, change_order_id: ChangeOrderId) -> None:
    request = change_order_pb.ApplyChangeOrderRequest(
        request_id=f"due:{change_order_id}", change_order_id=str(change_order_id)
    )

    async def handle(tx: AsyncConnection) -> change_order_pb.ApplyChangeOrderResponse:
        change_order, contract = await change_orders.apply(
            tx,
            change_order_id,
            version=0,
            by=current_caller().subject,
            at=context.clock.now(),
            today=context.clock.today,
        )
        return change_order_pb.ApplyChangeOrderResponse(
            change_order=write_change_order(change_order), contract=write_contract(contract)
        )

    await once(context.engine, request, change_order_pb.ApplyChangeOrderResponse, handle)


async def _report(context: Context, change_order_id: ChangeOrderId, refusal: Refusal) -> None:
    async with write(context.engine) as tx:
        change_order = await change_order_repository.get(tx, change_order_id)
        await exceptions.open_(
            tx,
            change_orders.EXCEPTION_KIND,
            change_order_id,
            reason=refusal.stable_code,
            owner="sales_operations",
            advice=refusal.advice or "compare it with the contract, then propose it again",
            legal_entity_id=change_order.legal_entity_id,
            engagement_id=change_order.engagement_id,
            detail={"number": change_order.number, "message": str(refusal)},
        )


SCHEDULES: Final = (
    Schedule("customer-contract.activate-due", 30, activate_due),
    Schedule("customer-contract.apply-change-orders", 30, apply_due),
    Schedule("customer-contract.expire-quotes", 60, expire_quotes),
)
