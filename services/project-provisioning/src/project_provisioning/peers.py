"""What other services are asked before projects are made; never inside a transaction."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from project_provisioning.domain.check import Check, ErpAccount
from project_provisioning.wire.run import read_checks, read_erp_account
from throughline.connectors.v1.erp_account_service_pb2 import CheckErpAccountsRequest, ErpAccountKey
from throughline.connectors.v1.erp_account_service_pb2_grpc import ErpAccountServiceStub
from throughline.customer_contract.v1.contract_service_pb2 import CheckReadinessBatchRequest
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline_runtime.context import Context


async def ask_readiness(
    context: Context, contract_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[Check]]:
    """Return what customer-contract says about each contract."""
    stub = context.stub(ContractServiceStub, "customer-contract")
    distinct = list(dict.fromkeys(contract_ids))
    request = CheckReadinessBatchRequest(contract_ids=map(str, distinct))
    response = await stub.CheckReadinessBatch(request)
    return {
        contract_id: read_checks(judged.checks)
        for contract_id, judged in zip(distinct, response.contracts, strict=True)
    }


async def ask_erp_accounts(
    context: Context, keys: Sequence[tuple[UUID, UUID]]
) -> Mapping[tuple[UUID, UUID], ErpAccount]:
    """Return what connectors know of the account of each customer and legal entity."""
    stub = context.stub(ErpAccountServiceStub, "connectors")
    distinct = list(dict.fromkeys(keys))
    request = CheckErpAccountsRequest(
        keys=(
            ErpAccountKey(customer_id=str(customer_id), legal_entity_id=str(legal_entity_id))
            for customer_id, legal_entity_id in distinct
        )
    )
    response = await stub.CheckErpAccounts(request)
    return {
        key: read_erp_account(account)
        for key, account in zip(distinct, response.accounts, strict=True)
    }
