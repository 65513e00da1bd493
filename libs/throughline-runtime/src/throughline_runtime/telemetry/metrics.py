"""The Prometheus metrics every service exports, declared once so that dashboards fit all of them.

Labels are few and closed (a durable, an RPC, an outcome); ids of customers are never labels.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

OUTBOX_PENDING: Final = Gauge(
    "throughline_outbox_pending", "Outbox rows committed and not yet acknowledged by the broker."
)
OUTBOX_PUBLISHED: Final = Counter(
    "throughline_outbox_published", "Outbox rows the broker has acknowledged."
)
RELAY_LAG_SECONDS: Final = Gauge(
    "throughline_relay_lag_seconds", "Age of the oldest outbox row not yet published; 0 when none."
)
CONSUMED: Final = Counter(
    "throughline_consumed",
    "Messages taken from a durable, by what became of them.",
    ["durable", "outcome"],
)
CONSUMER_PENDING: Final = Gauge(
    "throughline_consumer_pending", "Messages the broker still holds for a durable.", ["durable"]
)
CONSUME_SECONDS: Final = Histogram(
    "throughline_consume_seconds",
    "Time from a batch fetched to its commit.",
    ["durable"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
PARKED: Final = Gauge(
    "throughline_parked", "Messages set aside for a person to look at.", ["durable"]
)
ONCE_REPLAYS: Final = Counter(
    "throughline_once_replays", "Commands answered from memory because their key was known."
)
RPC_SECONDS: Final = Histogram(
    "throughline_rpc_seconds",
    "Time to answer an RPC.",
    ["method", "code"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@cache
def _domain_gauge(name: str, doc: str, labels: tuple[str, ...]) -> Gauge:
    return Gauge(f"throughline_{name}", doc, labels)


def domain_gauge(name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge `throughline_<name>` of a business figure, the same one on each call.

    Amounts are exported as floats: good for an alarm or a curve, never for a reconciliation.

    Raises:
        ValueError: the name is not in snake case.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"metric name {name!r} must be snake_case")
    return _domain_gauge(name, doc, tuple(labels))
