"""ContractService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import contract as commands
from customer_contract.domain.contract_terms import Signature
from customer_contract.domain.values import ContractId, ContractLineId
from customer_contract.grpc_api import readiness
from customer_contract.grpc_api.caller import read_amendment
from customer_contract.grpc_api.cost_figures import for_caller
from customer_contract.queries import contracts as queries
from customer_contract.repository import contract as repository
from customer_contract.wire.contract import (
    CONTRACT_STATUS,
    read_billing,
    write_contract,
    write_version,
)
from throughline.customer_contract.v1 import contract_service_pb2 as pb
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_instant,
    read_optional_date,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class ContractServicer(ContractServiceServicer):
    """The signed terms."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def GetContract(
        self, request: pb.GetContractRequest, context: object
    ) -> pb.GetContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        as_of = read_optional_date("as_of", request.as_of)
        known_at = (
            read_instant("known_at", request.known_at) if request.HasField("known_at") else None
        )
        async with read(self._engine) as tx:
            contract = await queries.contract_at(
                tx,
                contract_id,
                contract_version=request.contract_version or None,
                as_of=as_of,
                known_at=known_at,
            )
        return for_caller(pb.GetContractResponse(contract=write_contract(contract)))

    async def ListContracts(
        self, request: pb.ListContractsRequest, context: object
    ) -> pb.ListContractsResponse:
        page = read_page(request, max=100)
        customer = read_optional_uuid("customer_id", request.customer_id)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, CONTRACT_STATUS)
        async with read(self._engine) as tx:
            contracts, token = await queries.contracts(
                tx,
                page,
                customer_id=customer,
                legal_entity_id=entity,
                status=status,
                number=request.number,
            )
        return for_caller(pb.ListContractsResponse(contracts=contracts, next_page_token=token))

    async def ListContractVersions(
        self, request: pb.ListContractVersionsRequest, context: object
    ) -> pb.ListContractVersionsResponse:
        contract_id = _read_contract_id(request.contract_id)
        async with read(self._engine) as tx:
            await queries.visible(tx, contract_id)
            versions = await repository.versions(tx, contract_id)
        return pb.ListContractVersionsResponse(
            versions=[write_version(number, amendment) for number, amendment in versions]
        )

    async def UpdateDraftContract(
        self, request: pb.UpdateDraftContractRequest, context: object
    ) -> pb.UpdateDraftContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        billing = read_billing(request)
        recorded = read_amendment(self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.UpdateDraftContractResponse:
            contract = await commands.update_draft(
                tx,
                contract_id,
                billing,
                version=request.version,
                recorded=recorded,
                today=self._clock.today,
            )
            return pb.UpdateDraftContractResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.UpdateDraftContractResponse, handle)

    async def SignContract(
        self, request: pb.SignContractRequest, context: object
    ) -> pb.SignContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        signature = Signature(
            request.document_sha256, request.signatory, read_date("signed_on", request.signed_on)
        )

        recorded = read_amendment(self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.SignContractResponse:
            contract = await commands.sign(
                tx,
                contract_id,
                signature,
                recorded=recorded,
                is_attached=request.document_attached,
                is_activated=request.activate,
                today=self._clock.today,
            )
            return pb.SignContractResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.SignContractResponse, handle)

    async def ActivateContract(
        self, request: pb.ActivateContractRequest, context: object
    ) -> pb.ActivateContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        on = read_date("activate_on", request.activate_on)

        async def handle(tx: AsyncConnection) -> pb.ActivateContractResponse:
            contract = await commands.activate(
                tx, contract_id, on=on, today=self._clock.today, at=self._clock.now()
            )
            return pb.ActivateContractResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.ActivateContractResponse, handle)

    async def ChangeLimit(
        self, request: pb.ChangeLimitRequest, context: object
    ) -> pb.ChangeLimitResponse:
        contract_id = _read_contract_id(request.contract_id)
        line_id = read_optional_uuid("contract_line_id", request.contract_line_id)
        limit = read_optional_money("not_to_exceed", request.not_to_exceed)
        recorded = read_amendment(self._clock.now(), reason=request.reason)

        async def handle(tx: AsyncConnection) -> pb.ChangeLimitResponse:
            contract = await commands.change_limit(
                tx,
                contract_id,
                limit,
                contract_line_id=None if line_id is None else ContractLineId(line_id),
                recorded=recorded,
                today=self._clock.today,
            )
            return pb.ChangeLimitResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.ChangeLimitResponse, handle)

    async def TerminateContract(
        self, request: pb.TerminateContractRequest, context: object
    ) -> pb.TerminateContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        on = read_date("terminate_on", request.terminate_on)

        async def handle(tx: AsyncConnection) -> pb.TerminateContractResponse:
            contract = await commands.terminate(
                tx,
                contract_id,
                on=on,
                today=self._clock.today,
                reason=request.reason,
                at=self._clock.now(),
            )
            return pb.TerminateContractResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.TerminateContractResponse, handle)

    async def CompleteContract(
        self, request: pb.CompleteContractRequest, context: object
    ) -> pb.CompleteContractResponse:
        contract_id = _read_contract_id(request.contract_id)
        on = read_date("complete_on", request.complete_on)

        async def handle(tx: AsyncConnection) -> pb.CompleteContractResponse:
            contract = await commands.complete(
                tx, contract_id, on=on, today=self._clock.today, at=self._clock.now()
            )
            return pb.CompleteContractResponse(contract=write_contract(contract))

        return await once(self._engine, request, pb.CompleteContractResponse, handle)

    async def CheckReadiness(
        self, request: pb.CheckReadinessRequest, context: object
    ) -> pb.CheckReadinessResponse:
        contract_id = _read_contract_id(request.contract_id)
        return await readiness.check(self._context, contract_id)

    async def CheckReadinessBatch(
        self, request: pb.CheckReadinessBatchRequest, context: object
    ) -> pb.CheckReadinessBatchResponse:
        contract_ids = [
            ContractId(read_uuid(f"contract_ids[{index}]", value))
            for index, value in enumerate(request.contract_ids)
        ]
        return pb.CheckReadinessBatchResponse(
            contracts=await readiness.check_all(self._context, contract_ids)
        )


def _read_contract_id(value: str) -> ContractId:
    return ContractId(read_uuid("contract_id", value))
