"""Exchange rates as messages."""

from collections.abc import Sequence

from project_provisioning.domain.exchange_rate import RATE_PLACES, ExchangeRate
from throughline.project_provisioning.v1 import exchange_rate_service_pb2 as pb
from throughline_runtime.fields import read_date, read_decimal, write_date, write_decimal


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
