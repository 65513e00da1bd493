"""Vendors over real HTTP, the owning services faked, and connectors between them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from connectors_world import (
    FIELDS,
    Owners,
    OwningServices,
    Seed,
    World,
    an_org,
)

from connectors.settings import ConnectorSettings
from throughline.customer_contract.v1.customer_service_pb2_grpc import (
    CustomerServiceServicer,
    add_CustomerServiceServicer_to_server,
)
from throughline.customer_contract.v1.quote_service_pb2_grpc import (
    QuoteServiceServicer,
    add_QuoteServiceServicer_to_server,
)
from throughline.invoice_payment.v1.payment_service_pb2_grpc import (
    PaymentServiceServicer,
    add_PaymentServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount
from throughline_simulators.testing import Simulators
from throughline_testing.serving import faked, serving


@pytest.fixture(scope="session")
def all_simulators() -> Iterator[Simulators]:
    with Simulators() as simulators:
        yield simulators


@pytest.fixture
def simulators(all_simulators: Simulators) -> Simulators:
    all_simulators.reset()
    return all_simulators


@pytest.fixture
def owners() -> Owners:
    return Owners()


@pytest.fixture
async def peers(owners: Owners) -> AsyncIterator[dict[str, str]]:
    own = OwningServices(owners)
    mounts: list[Mount] = [
        (
            add_CustomerServiceServicer_to_server,
            faked(CustomerServiceServicer, CreateCustomer=own.create_customer),
        ),
        (
            add_QuoteServiceServicer_to_server,
            faked(QuoteServiceServicer, ImportQuote=own.import_quote),
        ),
        (
            add_PaymentServiceServicer_to_server,
            faked(PaymentServiceServicer, RecordPayment=own.record_payment),
        ),
    ]
    async with serving(mounts) as target:
        yield {"customer-contract": target, "invoice-payment": target}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConnectorSettings:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "salesforce").write_text("simulated-secret")
    (folder / "stripe").write_text("sk_test_simulated")
    (folder / "stripe-webhook").write_text("whsec_first\nwhsec_second\n")
    monkeypatch.setenv("THROUGHLINE_SECRETS_DIR", str(folder))
    return ConnectorSettings()


@pytest.fixture
def world(
    context: Context, simulators: Simulators, owners: Owners, secrets: ConnectorSettings
) -> World:
    return World(context, simulators, owners)


@pytest.fixture
def org(world: World) -> Seed:
    """Seed the simulated org and connect it; returns the ids of the references."""

    async def seed(**quote: Any) -> Mapping[str, str]:
        ids = world.simulators.salesforce.seed(an_org(**quote), fields=FIELDS)
        await world.connect_salesforce()
        return ids

    return seed
