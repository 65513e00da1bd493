"""The composition of billing-event; the only module that reads the environment."""

import os
from pathlib import Path
from typing import Final

from billing_event.consumers import subscriptions
from billing_event.grpc_api import (
    BillingEventServicer,
    LimitServicer,
    PositionServicer,
    RecurringServicer,
    ReleasePolicyServicer,
)
from billing_event.queries.totals import control_totals
from billing_event.schedules import SCHEDULES
from throughline.billing_event.v1.billing_event_service_pb2_grpc import (
    add_BillingEventServiceServicer_to_server,
)
from throughline.billing_event.v1.limit_service_pb2_grpc import add_LimitServiceServicer_to_server
from throughline.billing_event.v1.position_service_pb2_grpc import (
    add_PositionServiceServicer_to_server,
)
from throughline.billing_event.v1.recurring_service_pb2_grpc import (
    add_RecurringServiceServicer_to_server,
)
from throughline.billing_event.v1.release_policy_service_pb2_grpc import (
    add_ReleasePolicyServiceServicer_to_server,
)
from throughline_runtime.clock import Clock
from throughline_runtime.service import Service, run

_CLOCK_FILE: Final = os.environ.get("THROUGHLINE_CLOCK_FILE")

SERVICE: Final = Service(
    name="billing-event",
    package="billing_event",
    servicers=lambda context: [
        (add_BillingEventServiceServicer_to_server, BillingEventServicer(context)),
        (add_PositionServiceServicer_to_server, PositionServicer(context)),
        (add_LimitServiceServicer_to_server, LimitServicer(context)),
        (add_ReleasePolicyServiceServicer_to_server, ReleasePolicyServicer(context)),
        (add_RecurringServiceServicer_to_server, RecurringServicer(context)),
    ],
    subscriptions=subscriptions(Clock(Path(_CLOCK_FILE) if _CLOCK_FILE else None)),
    schedules=SCHEDULES,
    control_totals=control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
