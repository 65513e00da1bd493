"""Whether a cluster runs what the code declares, and each part finds the others."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

from throughline_cli.stack.secrets import Secrets
from throughline_cli.stack.services import ALL_SERVICES, GATEWAY, SERVICES, ServiceSpec
from tools.deployment import declared, environment, images, secret_files
from tools.deployment.network import NAME
from tools.deployment.objects import WORKLOADS, Cluster, Object, labels_of, name_of, pod_of

_ROLES: Final = ("serve", "consume", "relay", "schedule", "migrate")
_POOL_VARIABLE: Final = "THROUGHLINE_DATABASE_POOL_SIZE"
_POOL_SIZE: Final = 8
_OPERATORS_CONNECTIONS: Final = 20
"""For the superuser, replication and the operator's own."""

_AUTOSCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")


def problems(cluster: Cluster) -> Iterator[str]:
    """Find services that do not run, settings that do not fit, and names that lead nowhere."""
    yield from _roles(cluster)
    for workload in cluster.of(*WORKLOADS):
        where = f"{workload['kind']} {name_of(workload)}"
        yield from (f"{where}: {problem}" for problem in _secrets(workload))
        for container in pod_of(workload)["containers"]:
            if is_process(container):
                yield from _environment(cluster, workload, container)
    yield from _addresses(cluster)
    yield from _scaling(cluster)
    yield from _connections(cluster)


def is_process(container: Object) -> bool:
    """Whether it is a process of one of our services."""
    name = container["image"].removeprefix(images.OURS).partition(":")[0]
    return name in {service.name for service in ALL_SERVICES}


def _roles(cluster: Cluster) -> Iterator[str]:
    running = {
        (labels_of(workload).get(NAME), role)
        for workload in cluster.of(*WORKLOADS)
        for container in pod_of(workload)["containers"]
        if is_process(container)
        for role in container["args"]
    }
    for service in ALL_SERVICES:
        for role in (GATEWAY.role,) if service == GATEWAY else _ROLES:
            if (service.name, role) not in running:
                yield f"{service.name} is nowhere run as {role}"


def _secrets(workload: Object) -> Iterator[str]:
    known = _known_secrets().keys() | secret_files.MADE_ELSEWHERE
    for source in _sources(workload):
        if (secret := _secret_of(source)) is not None and secret not in known:
            yield f"nobody makes the secret {secret}"


def _environment(cluster: Cluster, workload: Object, container: Object) -> Iterator[str]:
    told: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        name = source["configMapRef"]["name"]
        config_map = cluster.named("ConfigMap", name)
        if config_map is None:
            yield f"{name_of(workload)}: there is no ConfigMap {name}"
        else:
            told |= config_map["data"]
    told |= {each["name"]: each["value"] for each in container.get("env", ())}
    yield from environment.problems(
        environment.Process(
            where=f"{name_of(workload)} {container['name']}",
            service=labels_of(workload)[NAME],
            environment=told,
            files=_files(workload, container),
            peers={service.name: f"{service.name}-grpc" for service in SERVICES},
        )
    )


def _files(workload: Object, container: Object) -> set[str]:
    """Return the paths of the secrets that a container sees."""
    mounts = {each["name"]: each["mountPath"] for each in container.get("volumeMounts", ())}
    found = set()
    for volume in pod_of(workload).get("volumes", ()):
        if volume["name"] in mounts:
            for source in volume.get("projected", {}).get("sources", [volume]):
                items = source.get("secret", {}).get("items")
                keys = (
                    [item["path"] for item in items]
                    if items
                    else _known_secrets().get(_secret_of(source) or "", ())
                )
                found |= {f"{mounts[volume['name']]}/{key}" for key in keys}
    return found


def _sources(workload: Object) -> Iterator[Object]:
    for volume in pod_of(workload).get("volumes", ()):
        yield from volume.get("projected", {}).get("sources", [volume])


def _secret_of(source: Object) -> str | None:
    secret: Mapping[str, str] = source.get("secret", {})
    return secret.get("name") or secret.get("secretName")


@cache
def _known_secrets() -> Mapping[str, tuple[str, ...]]:
    """Return the keys of each Secret that `make_secrets` makes."""
    with TemporaryDirectory() as folder:
        made = list(secret_files.kubernetes_secrets(Secrets(Path(folder))))
    return {name_of(secret): tuple(secret["stringData"]) for secret in made}


def _addresses(cluster: Cluster) -> Iterator[str]:
    """Find hosts in settings that no Service answers to."""
    for config_map in cluster.of("ConfigMap"):
        for name in ("THROUGHLINE_NATS_URL", "THROUGHLINE_NATS_MONITOR_URL"):
            for url in config_map["data"].get(name, "").split(","):
                if url and not _answers(cluster, url):
                    yield f"{name}: nobody answers at {url}"
    for service in SERVICES:
        if not _answers(cluster, f"dns://{service.name}-grpc:{declared.GRPC_PORT}"):
            yield f"nobody answers the peers of {service.name}"


def _answers(cluster: Cluster, url: str) -> bool:
    """Whether `service:port`, or `pod.service:port`, is of a Service in the cluster."""
    parts = urlsplit(url)
    pod, _, name = (parts.hostname or "").rpartition(".")
    service = cluster.named("Service", name)
    if service is None or parts.port not in {each["port"] for each in service["spec"]["ports"]}:
        return False
    owners = [each for each in cluster.of("StatefulSet") if each["spec"]["serviceName"] == name]
    pods = {f"{name_of(each)}-{n}" for each in owners for n in range(each["spec"]["replicas"])}
    return not pod or pod in pods


def _scaling(cluster: Cluster) -> Iterator[str]:
    """Find workloads with two masters of their number, or none."""
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in cluster.of(*_AUTOSCALERS)]
    deployments = {name_of(each): each for each in cluster.of("Deployment")}
    for name in scaled:
        if name not in deployments:
            yield f"an autoscaler is for {name}, which is not there"
    for name, deployment in deployments.items():
        masters = scaled.count(name) + ("replicas" in deployment["spec"])
        if masters != 1:
            yield f"Deployment {name}: {masters} say how many pods it has"


def _connections(cluster: Cluster) -> Iterator[str]:
    """Find roles that may be refused a connection while everything is scaled out and updated."""
    [postgres] = cluster.of("Cluster")
    limits = {
        role["name"]: role["connectionLimit"] for role in postgres["spec"]["managed"]["roles"]
    }
    for service in SERVICES:
        wanted = sum(
            _pods_at_most(cluster, workload) * _pools(workload)
            for workload in cluster.of("Deployment")
            if labels_of(workload).get(NAME) == service.name
        )
        if wanted > limits.get(service.package, 0):
            yield f"{service.name} may open {wanted} connections, its role may not"
        if f"{service.package}_owner" not in limits:
            yield f"the database of {service.name} has no owner"
        yield from _database(cluster, service)
    allowed = int(postgres["spec"]["postgresql"]["parameters"]["max_connections"])
    if sum(limits.values()) + _OPERATORS_CONNECTIONS > allowed:
        yield f"all roles together may open {sum(limits.values())} connections of {allowed}"


def _database(cluster: Cluster, service: ServiceSpec) -> Iterator[str]:
    database = cluster.named("Database", service.name)
    if database is None or database["spec"]["name"] != service.package:
        yield f"{service.name} has no database"


def _pods_at_most(cluster: Cluster, deployment: Object) -> int:
    """Return how many pods there may be, with the one more during an update."""
    for autoscaler in cluster.of(*_AUTOSCALERS):
        spec: Mapping[str, Any] = autoscaler["spec"]
        if spec["scaleTargetRef"]["name"] == name_of(deployment):
            return int(spec.get("maxReplicas") or spec["maxReplicaCount"]) + 1
    return int(deployment["spec"].get("replicas", 1)) + 1


def _pools(deployment: Object) -> int:
    """Return how many connections the processes of one pod may open."""
    sizes = 0
    for container in pod_of(deployment)["containers"]:
        told = {each["name"]: each["value"] for each in container.get("env", ())}
        sizes += int(told.get(_POOL_VARIABLE, _POOL_SIZE))
    return sizes
