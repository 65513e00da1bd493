"""What the stack reads of a service before it starts it."""

from types import SimpleNamespace

from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsRated
from throughline_runtime.subscription import Subscription


async def _ignore(_tx: object, _events: object) -> None:
    """Take nothing."""


SERVICE = SimpleNamespace(
    subscriptions=(Subscription("toy-service-ignore", BillingEventsRated, _ignore),)
)
