"""The composition root: what this service is made of."""

from typing import Final

from project_provisioning.consumers import SUBSCRIPTIONS
from project_provisioning.grpc_api import servicers
from project_provisioning.queries.totals import control_totals
from project_provisioning.schedules import SCHEDULES
from throughline_runtime.service import Service, run

SERVICE: Final = Service(
    name="project-provisioning",
    package="project_provisioning",
    servicers=servicers,
    subscriptions=SUBSCRIPTIONS,
    schedules=SCHEDULES,
    control_totals=control_totals,
    hands_out_documents=True,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)


if __name__ == "__main__":
    main()
