"""The services of the platform, as the stack runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service: its name says its package, its database and its NATS user."""

    name: str
    is_stateless: bool = False
    """Without a database and without the broker."""
    role: str = "all"
    """The argument of `python -m <package>`; `all` is servers, consumers and relay in one."""

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")


SERVICES: Final = (
    ServiceSpec("customer-contract"),
    ServiceSpec("project-provisioning"),
    ServiceSpec("billing-event"),
    ServiceSpec("invoice-payment"),
    ServiceSpec("reporting"),
    ServiceSpec("connectors"),
)

GATEWAY: Final = ServiceSpec("gateway", is_stateless=True, role="serve")

ALL_SERVICES: Final = (*SERVICES, GATEWAY)


def chosen(names: Sequence[str]) -> tuple[ServiceSpec, ...]:
    """Return the services of these names in start order."""
    return tuple(service for service in ALL_SERVICES if service.name in names)
