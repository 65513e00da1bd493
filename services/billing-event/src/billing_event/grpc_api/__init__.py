"""The services as they are called: fields in, one command or query, messages out."""

from billing_event.grpc_api.event import BillingEventServicer
from billing_event.grpc_api.ledger import (
    LimitServicer,
    RecurringServicer,
    ReleasePolicyServicer,
)
from billing_event.grpc_api.position import PositionServicer

__all__ = [
    "BillingEventServicer",
    "LimitServicer",
    "PositionServicer",
    "RecurringServicer",
    "ReleasePolicyServicer",
]
