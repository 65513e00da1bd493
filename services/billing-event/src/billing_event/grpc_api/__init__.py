"""The services as they are called: fields in, one command or query, messages out."""

from billing_event.grpc_api.adjustment import AdjustmentServicer
from billing_event.grpc_api.calendar import BillingCalendarServicer
from billing_event.grpc_api.event import BillingEventServicer
from billing_event.grpc_api.exchange_policy import ExchangePolicyServicer
from billing_event.grpc_api.intercompany import IntercompanyServicer
from billing_event.grpc_api.ledger import RecurringServicer
from billing_event.grpc_api.limit import LimitServicer
from billing_event.grpc_api.position import PositionServicer
from billing_event.grpc_api.progress import ProgressServicer
from billing_event.grpc_api.purchase import PurchaseServicer
from billing_event.grpc_api.release import ReleaseServicer, WriteOffServicer
from billing_event.grpc_api.release_policy import ReleasePolicyServicer
from billing_event.grpc_api.rerating import ReratingServicer
from billing_event.grpc_api.retainer import RetainerServicer
from billing_event.grpc_api.shadow import ShadowServicer
from billing_event.grpc_api.usage import UsageServicer

__all__ = [
    "AdjustmentServicer",
    "BillingCalendarServicer",
    "BillingEventServicer",
    "ExchangePolicyServicer",
    "IntercompanyServicer",
    "LimitServicer",
    "PositionServicer",
    "ProgressServicer",
    "PurchaseServicer",
    "RecurringServicer",
    "ReleasePolicyServicer",
    "ReleaseServicer",
    "ReratingServicer",
    "RetainerServicer",
    "ShadowServicer",
    "UsageServicer",
    "WriteOffServicer",
]
