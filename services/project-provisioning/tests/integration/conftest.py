"""The service on a database of its own, with the services it asks faked."""

from collections.abc import AsyncIterator

import pytest
from project_provisioning_planning import Billing, Planning
from project_provisioning_world import Deals, ErpAccounts, Readiness, World

from throughline.billing_event.v1.position_service_pb2_grpc import (
    PositionServiceServicer,
    add_PositionServiceServicer_to_server,
)
from throughline.connectors.v1.erp_account_service_pb2_grpc import (
    ErpAccountServiceServicer,
    add_ErpAccountServiceServicer_to_server,
)
from throughline.customer_contract.v1.contract_service_pb2_grpc import (
    ContractServiceServicer,
    add_ContractServiceServicer_to_server,
)
from throughline.customer_contract.v1.quote_service_pb2_grpc import (
    QuoteServiceServicer,
    add_QuoteServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount
from throughline_testing.serving import Running, faked, serving


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def erp_accounts() -> ErpAccounts:
    return ErpAccounts()


@pytest.fixture
def deals() -> Deals:
    return Deals()


@pytest.fixture
def billing() -> Billing:
    return Billing()


@pytest.fixture
async def peers(
    readiness: Readiness, erp_accounts: ErpAccounts, deals: Deals, billing: Billing
) -> AsyncIterator[dict[str, str]]:
    contracts = faked(
        ContractServiceServicer,
        CheckReadinessBatch=readiness.answer,
        GetContract=deals.get_contract,
    )
    quotes = faked(QuoteServiceServicer, GetQuote=deals.get_quote)
    accounts = faked(ErpAccountServiceServicer, CheckErpAccounts=erp_accounts.answer)
    positions = faked(PositionServiceServicer, WithdrawSource=billing.withdraw)
    mounts: list[Mount] = [
        (add_ContractServiceServicer_to_server, contracts),
        (add_QuoteServiceServicer_to_server, quotes),
        (add_ErpAccountServiceServicer_to_server, accounts),
        (add_PositionServiceServicer_to_server, positions),
    ]
    async with serving(mounts) as target:
        yield {"customer-contract": target, "connectors": target, "billing-event": target}


@pytest.fixture
def world(running: Running, context: Context) -> World:
    return World(running, context)


@pytest.fixture
def planning(world: World) -> Planning:
    return Planning(world)
