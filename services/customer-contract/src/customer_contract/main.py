"""The composition root of customer-contract."""

from collections.abc import Sequence
from typing import Final

from customer_contract.grpc_api.catalogue import CatalogueServicer
from customer_contract.grpc_api.change_order import ChangeOrderServicer
from customer_contract.grpc_api.contract import ContractServicer
from customer_contract.grpc_api.cost_rate import CostRateServicer
from customer_contract.grpc_api.credit import CreditServicer
from customer_contract.grpc_api.customer import CustomerServicer
from customer_contract.grpc_api.data_quality import DataQualityServicer
from customer_contract.grpc_api.legal_entity import LegalEntityServicer
from customer_contract.grpc_api.price_policy import PricePolicyServicer
from customer_contract.grpc_api.proposal import ProposalServicer
from customer_contract.grpc_api.quote import QuoteServicer
from customer_contract.grpc_api.rate_card import RateCardServicer
from customer_contract.queries.contracts import control_totals
from customer_contract.schedules import SCHEDULES
from throughline.customer_contract.v1.catalogue_service_pb2_grpc import (
    add_CatalogueServiceServicer_to_server,
)
from throughline.customer_contract.v1.change_order_service_pb2_grpc import (
    add_ChangeOrderServiceServicer_to_server,
)
from throughline.customer_contract.v1.contract_service_pb2_grpc import (
    add_ContractServiceServicer_to_server,
)
from throughline.customer_contract.v1.cost_rate_service_pb2_grpc import (
    add_CostRateServiceServicer_to_server,
)
from throughline.customer_contract.v1.credit_service_pb2_grpc import (
    add_CreditServiceServicer_to_server,
)
from throughline.customer_contract.v1.customer_service_pb2_grpc import (
    add_CustomerServiceServicer_to_server,
)
from throughline.customer_contract.v1.data_quality_service_pb2_grpc import (
    add_DataQualityServiceServicer_to_server,
)
from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import (
    add_LegalEntityServiceServicer_to_server,
)
from throughline.customer_contract.v1.price_policy_service_pb2_grpc import (
    add_PricePolicyServiceServicer_to_server,
)
from throughline.customer_contract.v1.proposal_service_pb2_grpc import (
    add_ProposalServiceServicer_to_server,
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
        (add_CreditServiceServicer_to_server, CreditServicer(context)),
        (add_DataQualityServiceServicer_to_server, DataQualityServicer(context)),
        (add_CatalogueServiceServicer_to_server, CatalogueServicer(context)),
        (add_RateCardServiceServicer_to_server, RateCardServicer(context)),
        (add_PricePolicyServiceServicer_to_server, PricePolicyServicer(context)),
        (add_ProposalServiceServicer_to_server, ProposalServicer(context)),
        (add_CostRateServiceServicer_to_server, CostRateServicer(context)),
        (add_QuoteServiceServicer_to_server, QuoteServicer(context)),
        (add_ContractServiceServicer_to_server, ContractServicer(context)),
        (add_ChangeOrderServiceServicer_to_server, ChangeOrderServicer(context)),
    )


SERVICE: Final = Service(
    name="customer-contract",
    package="customer_contract",
    servicers=_servicers,
    schedules=SCHEDULES,
    control_totals=control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
