"""Exchange rates as messages."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from project_provisioning.domain.exchange_rate import RATE_PLACES, ExchangeRate
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as events_pb,
)
from throughline.project_provisioning.v1 import exchange_rate_service_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    write_date,
    write_decimal,
    write_id,
    write_instant,
)


def read_rates(rates: Sequence[pb.ExchangeRate]) -> list[ExchangeRate]:
    """Return rates as they were sent."""
    return [
        ExchangeRate(
            base=rate.base,
            quote=rate.quote,
            rate_on=read_date(f"rates[{index}].rate_on", rate.rate_on),
            source=rate.source,
            rate=read_decimal(f"rates[{index}].rate", rate.rate, places=RATE_PLACES),
        )
        for index, rate in enumerate(rates)
    ]


def write_rate(rate: ExchangeRate) -> pb.ExchangeRate:
    """Return a rate."""
    return pb.ExchangeRate(
        base=rate.base,
        quote=rate.quote,
        rate_on=write_date(rate.rate_on),
        source=rate.source,
        rate=write_decimal(rate.rate),
    )


def write_recorded(rates: Sequence[ExchangeRate], *, batch_id: UUID, at: datetime) -> Outgoing:
    """Return the event that tells of rates recorded together."""
    message = events_pb.ExchangeRatesRecorded(
        batch_id=write_id(batch_id),
        version=1,
        rates=map(write_rate, rates),
        recorded_at=write_instant(at),
    )
    return Outgoing(message, batch_id, 1)
