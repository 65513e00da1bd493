"""Who may talk to whom in a cluster: one policy for each service, from the calls its code makes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from throughline_cli.stack.services import SERVICES
from tools.deployment.declared import GRPC_PORT

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"

Policy = Mapping[str, Any]


def peer_policies(calls: Mapping[str, Sequence[str]]) -> Sequence[Policy]:
    """Return what lets each service be called by its callers, and call those it calls."""
    policies = []
    for name, called in calls.items():
        callers = [caller for caller, others in calls.items() if name in others]
        rules = {
            **_rules("ingress", "from", callers),
            **_rules("egress", "to", called, servers=True),
        }
        if rules:
            policies.append(_policy(f"{name}-peers", {"matchLabels": {NAME: name}}, rules))
    return [*policies, _stores()]


def _stores() -> Policy:
    """Return what lets everybody with a database reach PostgreSQL and the broker."""
    services = {
        "matchExpressions": [
            {"key": NAME, "operator": "In", "values": [service.name for service in SERVICES]}
        ]
    }
    return _policy(
        "stores",
        services,
        {
            "egress": [
                {"to": _pods({"cnpg.io/cluster": "postgres"}), "ports": _ports(5432)},
                {"to": _pods({NAME: "nats"}), "ports": _ports(4222, 8222)},
            ]
        },
    )


def _rules(
    direction: str, side: str, peers: Sequence[str], *, servers: bool = False
) -> Mapping[str, Any]:
    if not peers:
        return {}
    component = {COMPONENT: "serve"} if servers else {}
    pods = [pod for peer in peers for pod in _pods({NAME: peer} | component)]
    return {direction: [{side: pods, "ports": _ports(GRPC_PORT)}]}


def _policy(name: str, pods: Mapping[str, Any], rules: Mapping[str, Any]) -> Policy:
    kinds = [direction.capitalize() for direction in ("ingress", "egress") if direction in rules]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": pods, "policyTypes": kinds, **rules},
    }


def _pods(labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
    return [{"podSelector": {"matchLabels": labels}}]


def _ports(*ports: int) -> list[Mapping[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
