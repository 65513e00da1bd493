"""The composition root of reporting."""

from typing import Final

from reporting import grpc_api, queries
from reporting.consumers import SUBSCRIPTIONS
from throughline_runtime.service import Service, run

SERVICE: Final = Service(
    name="reporting",
    package="reporting",
    servicers=grpc_api.servicers,
    subscriptions=SUBSCRIPTIONS,
    control_totals=queries.control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
