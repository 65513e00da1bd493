"""Each planted mistake in the cluster's manifests is found, and named so that it can be mended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.deployment import deployed, hygiene, objects, schema
from tools.deployment.objects import Cluster, pod_of

Plant = Callable[[Cluster], Any]


def found_in(cluster: Cluster) -> list[str]:
    return [*objects.problems(cluster), *deployed.problems(cluster)]


def named(cluster: Cluster, name: str, kind: str = "Deployment") -> Any:
    return cluster.named(kind, name)


def pod(cluster: Cluster, name: str) -> Any:
    return pod_of(named(cluster, name))


def container(cluster: Cluster, name: str, index: int = 0) -> Any:
    return pod(cluster, name)["containers"][index]


def settings(cluster: Cluster, name: str) -> Any:
    [found] = [
        each for each in cluster.of("ConfigMap") if each["metadata"]["name"].startswith(f"{name}-")
    ]
    return found["data"]


def without(cluster: Cluster, kind: str, name: str) -> Cluster:
    return Cluster([each for each in cluster.objects if each is not cluster.named(kind, name)])


def test_the_manifests_as_they_are_have_no_fault(production: Cluster) -> None:
    assert found_in(production) == []


CONFINEMENT: dict[str, Plant] = {
    "may run as root": lambda c: pod(c, "gateway")["securityContext"].clear(),
    "runs without a seccomp profile": lambda c: pod(c, "gateway")["securityContext"].pop(
        "seccompProfile"
    ),
    "is given a token": lambda c: pod(c, "gateway").pop("automountServiceAccountToken"),
    "is not given 60 s": lambda c: pod(c, "gateway").update(terminationGracePeriodSeconds=30),
    "may write to its image": lambda c: container(c, "gateway")["securityContext"].update(
        readOnlyRootFilesystem=False
    ),
    "keeps capabilities": lambda c: container(c, "gateway")["securityContext"].update(
        capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}
    ),
    "has no requests": lambda c: container(c, "gateway").pop("resources"),
    "schedule: has no readinessProbe": lambda c: container(c, "billing-event-background", 1).pop(
        "readinessProbe"
    ),
    "has no livenessProbe on one of its ports": lambda c: container(c, "gateway")["livenessProbe"][
        "httpGet"
    ].update(port="metrics"),
    "is not pinned": lambda c: container(c, "gateway").update(image="throughline/gateway:latest"),
    "names a registry": lambda c: container(c, "gateway").update(image="registry.test/gateway:1"),
    "nobody listens on grpc": lambda c: container(c, "reporting-serve").update(
        ports=[{"name": "http", "containerPort": 8080}]
    ),
    "no disruption budget": lambda c: named(c, "nats", "PodDisruptionBudget")["spec"].update(
        selector={"matchLabels": {"app.kubernetes.io/name": "nuts"}}
    ),
}

DEPLOYMENT: dict[str, Plant] = {
    "no setting is called THROUGHLINE_LOG_LEVLE": lambda c: settings(c, "platform").update(
        THROUGHLINE_LOG_LEVLE="info"
    ),
    "THROUGHLINE_NATS_USER is not set": lambda c: settings(c, "reporting-settings").pop(
        "THROUGHLINE_NATS_USER"
    ),
    "THROUGHLINE_NATS_PASSWORD is a secret": lambda c: settings(c, "reporting-settings").update(
        THROUGHLINE_NATS_PASSWORD="swordfish"
    ),
    "/run/secrets/service/database-uri, which is not mounted": lambda c: settings(
        c, "reporting-settings"
    ).update(THROUGHLINE_DATABASE_URL_FILE="/run/secrets/service/database-uri"),
    "its peers are": lambda c: settings(c, "platform").update(THROUGHLINE_PEERS="{}"),
    "nobody answers at nats://nats-3.nats:4222": lambda c: settings(c, "platform").update(
        THROUGHLINE_NATS_URL="nats://nats-3.nats:4222"
    ),
    "nobody answers at http://nats-0.nats:8221": lambda c: settings(c, "platform").update(
        THROUGHLINE_NATS_MONITOR_URL="http://nats-0.nats:8221"
    ),
    "reporting is nowhere run as consume": lambda c: container(c, "reporting-consume").update(
        args=["all"]
    ),
    "nobody makes the secret connectors-keys": lambda c: pod(c, "connectors-serve")["volumes"][0][
        "projected"
    ]["sources"][0]["secret"].update(name="connectors-keys"),
    "2 say how many pods": lambda c: named(c, "gateway")["spec"].update(replicas=2),
    "0 say how many pods": lambda c: named(c, "connectors-consume")["spec"].pop("replicas"),
    "billing-event may open": lambda c: container(c, "billing-event-background").update(env=[]),
    "all roles together": lambda c: named(c, "postgres", "Cluster")["spec"]["postgresql"][
        "parameters"
    ].update(max_connections="600"),
    "an autoscaler is for": lambda c: named(c, "reporting-consume", "ScaledObject")["spec"].update(
        scaleTargetRef={"name": "reports-consume"}
    ),
}


@pytest.mark.parametrize("fault", [*CONFINEMENT, *DEPLOYMENT])
def test_a_planted_mistake_is_found(production: Cluster, fault: str) -> None:
    (CONFINEMENT | DEPLOYMENT)[fault](production)

    assert [problem for problem in found_in(production) if fault in problem]


@pytest.mark.parametrize(
    ("kind", "name", "fault"),
    [
        ("Service", "billing-event-grpc", "nobody answers the peers of billing-event"),
        ("Database", "billing-event", "billing-event has no database"),
        ("ServiceAccount", "reporting-account", "has no account of its own"),
        ("Job", "reporting-migrate", "reporting is nowhere run as migrate"),
        ("Deployment", "gateway", "gateway is nowhere run as serve"),
    ],
)
def test_what_is_left_out_is_missed(production: Cluster, kind: str, name: str, fault: str) -> None:
    left = without(production, kind, name)

    assert [problem for problem in found_in(left) if fault in problem]


def test_a_field_that_kubernetes_does_not_know_is_refused(production: Cluster) -> None:
    named(production, "gateway")["spec"]["replica"] = 3

    assert [problem for problem in found_in(production) if "'replica' was unexpected" in problem]


def test_a_field_that_an_operator_does_not_know_is_refused(production: Cluster) -> None:
    for scaled in production.of("ScaledObject"):
        # The scaler takes strings only.
        scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 2000

    assert [
        problem
        for problem in schema.custom_resource_problems(production.custom)
        if "lagThreshold" in problem and "is not of type 'string'" in problem
    ]


def test_a_committed_secret_is_refused(production: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "caller-key"}}

    assert "Secrets are not to be committed" in found_in(Cluster([*production.objects, secret]))


def test_a_manifest_that_no_overlay_uses_is_dead(tmp_path: Path) -> None:
    (tmp_path / "forgotten.yaml").touch()

    assert [p for p in hygiene.unused(tmp_path, set()) if "forgotten.yaml" in p]
