"""The composition root of connectors."""

from typing import Final

from connectors import grpc_api, queries
from connectors.schedules import SCHEDULES
from throughline_runtime.service import Service, run

SERVICE: Final = Service(
    name="connectors",
    package="connectors",
    servicers=grpc_api.servicers,
    schedules=SCHEDULES,
    control_totals=queries.control_totals,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
