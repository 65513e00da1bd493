"""The composition of billing-event; the only module that reads the environment."""

import os
from pathlib import Path
from typing import Final

from billing_event.consumers import subscriptions
from billing_event.grpc_api import (
    AdjustmentServicer,
    BillingCalendarServicer,
    BillingEventServicer,
    ExchangePolicyServicer,
    IntercompanyServicer,
    LimitServicer,
    PositionServicer,
    ProgressServicer,
    PurchaseServicer,
    RecurringServicer,
    ReleasePolicyServicer,
    ReleaseServicer,
    ReratingServicer,
    RetainerServicer,
    ShadowServicer,
    UsageServicer,
    WriteOffServicer,
)
from billing_event.queries.totals import control_totals
from billing_event.schedules import SCHEDULES
from throughline.billing_event.v1.adjustment_service_pb2_grpc import (
    add_AdjustmentServiceServicer_to_server,
)
from throughline.billing_event.v1.billing_calendar_service_pb2_grpc import (
    add_BillingCalendarServiceServicer_to_server,
)
from throughline.billing_event.v1.billing_event_service_pb2_grpc import (
    add_BillingEventServiceServicer_to_server,
)
from throughline.billing_event.v1.exchange_policy_service_pb2_grpc import (
    add_ExchangePolicyServiceServicer_to_server,
)
from throughline.billing_event.v1.intercompany_service_pb2_grpc import (
    add_IntercompanyServiceServicer_to_server,
)
from throughline.billing_event.v1.limit_service_pb2_grpc import add_LimitServiceServicer_to_server
from throughline.billing_event.v1.position_service_pb2_grpc import (
    add_PositionServiceServicer_to_server,
)
from throughline.billing_event.v1.progress_service_pb2_grpc import (
    add_ProgressServiceServicer_to_server,
)
from throughline.billing_event.v1.purchase_service_pb2_grpc import (
    add_PurchaseServiceServicer_to_server,
)
from throughline.billing_event.v1.recurring_service_pb2_grpc import (
    add_RecurringServiceServicer_to_server,
)
from throughline.billing_event.v1.release_policy_service_pb2_grpc import (
    add_ReleasePolicyServiceServicer_to_server,
)
from throughline.billing_event.v1.release_service_pb2_grpc import (
    add_ReleaseServiceServicer_to_server,
)
from throughline.billing_event.v1.rerating_service_pb2_grpc import (
    add_ReratingServiceServicer_to_server,
)
from throughline.billing_event.v1.retainer_service_pb2_grpc import (
    add_RetainerServiceServicer_to_server,
)
from throughline.billing_event.v1.shadow_service_pb2_grpc import (
    add_ShadowServiceServicer_to_server,
)
from throughline.billing_event.v1.usage_service_pb2_grpc import (
    add_UsageServiceServicer_to_server,
)
from throughline.billing_event.v1.write_off_service_pb2_grpc import (
    add_WriteOffServiceServicer_to_server,
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
        (add_RetainerServiceServicer_to_server, RetainerServicer(context)),
        (add_ReleasePolicyServiceServicer_to_server, ReleasePolicyServicer(context)),
        (add_RecurringServiceServicer_to_server, RecurringServicer(context)),
        (add_IntercompanyServiceServicer_to_server, IntercompanyServicer(context)),
        (add_ReleaseServiceServicer_to_server, ReleaseServicer(context)),
        (add_WriteOffServiceServicer_to_server, WriteOffServicer(context)),
        (add_ShadowServiceServicer_to_server, ShadowServicer(context)),
        (add_ReratingServiceServicer_to_server, ReratingServicer(context)),
        (add_UsageServiceServicer_to_server, UsageServicer(context)),
        (add_ExchangePolicyServiceServicer_to_server, ExchangePolicyServicer(context)),
        (add_ProgressServiceServicer_to_server, ProgressServicer(context)),
        (add_AdjustmentServiceServicer_to_server, AdjustmentServicer(context)),
        (add_PurchaseServiceServicer_to_server, PurchaseServicer(context)),
        (add_BillingCalendarServiceServicer_to_server, BillingCalendarServicer(context)),
    ],
    subscriptions=subscriptions(Clock(Path(_CLOCK_FILE) if _CLOCK_FILE else None)),
    schedules=SCHEDULES,
    control_totals=control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
