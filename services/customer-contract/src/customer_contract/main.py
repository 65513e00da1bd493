"""The composition root of customer-contract."""

from collections.abc import Sequence
from typing import Final

from customer_contract.grpc_api.catalogue import CatalogueServicer
from customer_contract.grpc_api.contract import ContractServicer
from customer_contract.grpc_api.customer import CustomerServicer
from customer_contract.grpc_api.legal_entity import LegalEntityServicer
from customer_contract.grpc_api.quote import QuoteServicer
from customer_contract.grpc_api.rate_card import RateCardServicer
from customer_contract.queries.contracts import control_totals
from throughline.customer_contract.v1.catalogue_service_pb2_grpc import (
    add_CatalogueServiceServicer_to_server,
)
from throughline.customer_contract.v1.contract_service_pb2_grpc import (
    add_ContractServiceServicer_to_server,
)
from throughline.customer_contract.v1.customer_service_pb2_grpc import (
    add_CustomerServiceServicer_to_server,
)
from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import (
    add_LegalEntityServiceServicer_to_server,
)
from throughline.customer_contract.v1.quote_service_pb2_grpc import (
    add_QuoteServiceServicer_to_server,
)
from throughline.customer_contract.v1.rate_card_service_pb2_grpc import (
    add_RateCardServiceServicer_to_server,
)
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount
from throughline_runtime.service import Service, run


def _servicers(context: Context) -> Sequence[Mount]:
    return (
        (add_LegalEntityServiceServicer_to_server, LegalEntityServicer(context)),
        (add_CustomerServiceServicer_to_server, CustomerServicer(context)),
        (add_CatalogueServiceServicer_to_server, CatalogueServicer(context)),
        (add_RateCardServiceServicer_to_server, RateCardServicer(context)),
        (add_QuoteServiceServicer_to_server, QuoteServicer(context)),
        (add_ContractServiceServicer_to_server, ContractServicer(context)),
    )


SERVICE: Final = Service(
    name="customer-contract",
    package="customer_contract",
    servicers=_servicers,
    control_totals=control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
