"""The service on a database of its own, with customer-contract faked."""

from collections.abc import AsyncIterator

import pytest
from project_provisioning_world import Readiness, World

from throughline.customer_contract.v1.contract_service_pb2_grpc import (
    ContractServiceServicer,
    add_ContractServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_testing.serving import Running, faked, serving


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def peers(readiness: Readiness) -> AsyncIterator[dict[str, str]]:
    servicer = faked(ContractServiceServicer, CheckReadiness=readiness.answer)
    async with serving([(add_ContractServiceServicer_to_server, servicer)]) as target:
        yield {"customer-contract": target}


@pytest.fixture
def world(running: Running, context: Context) -> World:
    return World(running, context)
