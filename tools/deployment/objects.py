"""What each of our workloads in a cluster has to be, whatever the manifests are made of."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # published without types

from tools.deployment import images

Object = Mapping[str, Any]

KUBERNETES: Final = "1.33"

WORKLOADS: Final = {"Deployment", "StatefulSet", "Job"}
_SERVERS: Final = {"Deployment", "StatefulSet"}
_PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")
_GRACE_SECONDS_MIN: Final = 60
_BUILT_IN: Final = {"v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The objects of one overlay."""

    objects: Sequence[Object]

    def of(self, *kinds: str) -> Sequence[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object | None:
        found = [each for each in self.of(kind) if name_of(each) == name]
        return found[0] if found else None

    @property
    def custom(self) -> Sequence[Object]:
        """The objects of kinds that an operator brings."""
        return [each for each in self.objects if not _is_built_in(each)]


def name_of(object_: Object) -> str:
    return str(object_["metadata"]["name"])


def pod_of(workload: Object) -> Object:
    pod: Object = workload["spec"]["template"]["spec"]
    return pod


def labels_of(workload: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def problems(cluster: Cluster) -> Iterator[str]:
    """Find what the schemas refuse, and pods that are not confined, probed or bounded."""
    for each in cluster.objects:
        if _is_built_in(each):
            yield from _schema(each)
    if cluster.of("Secret"):
        yield "Secrets are not to be committed"
    for workload in cluster.of(*WORKLOADS):
        where = f"{workload['kind']} {name_of(workload)}"
        for problem in _pod(workload, cluster):
            yield f"{where}: {problem}"
        for container in pod_of(workload)["containers"]:
            for problem in _container(workload, container):
                yield f"{where}: {container['name']}: {problem}"
    yield from _selectors(cluster)


def _schema(object_: Object) -> Iterator[str]:
    problem = _refusal(json.dumps(object_))
    if problem is not None:
        yield f"{object_['kind']} {name_of(object_)}: {problem}"


@cache
def _refusal(object_: str) -> str | None:
    """Return why Kubernetes would refuse an object; most are alike in all overlays."""
    try:
        kubernetes_validate.validate(json.loads(object_), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return None


def _pod(workload: Object, cluster: Cluster) -> Iterator[str]:
    pod = pod_of(workload)
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "runs without a seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "is given a token of the cluster"
    if cluster.named("ServiceAccount", pod.get("serviceAccountName", "")) is None:
        yield "has no account of its own"
    if workload["kind"] in _SERVERS:
        if pod.get("terminationGracePeriodSeconds", 0) < _GRACE_SECONDS_MIN:
            yield f"is not given {_GRACE_SECONDS_MIN} s to end"
        if not pod.get("topologySpreadConstraints"):
            yield "may lie in one zone only"


def _container(workload: Object, container: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write to its image"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    if set(resources.get("requests", ())) != {"cpu", "memory"} or not resources.get("limits"):
        yield "has no requests or no limits"
    yield from images.problems(container["image"])
    ports = [port["name"] for port in container.get("ports", ())]
    if workload["kind"] in _SERVERS:
        for probe in _PROBES:
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if port not in ports:
                yield f"has no {probe} on one of its ports"


def _selectors(cluster: Cluster) -> Iterator[str]:
    """Find Services and budgets that select no pod, and ports that nobody listens on."""
    for service in cluster.of("Service"):
        chosen = [
            workload
            for workload in cluster.of(*_SERVERS)
            if service["spec"]["selector"].items() <= labels_of(workload).items()
        ]
        listening = {
            port["name"]
            for workload in chosen
            for container in pod_of(workload)["containers"]
            for port in container.get("ports", ())
        }
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in listening:
                yield f"Service {name_of(service)}: nobody listens on {port['targetPort']}"
    for workload in cluster.of(*_SERVERS):
        if not any(_covers(budget, workload) for budget in cluster.of("PodDisruptionBudget")):
            yield f"{workload['kind']} {name_of(workload)}: no disruption budget covers it"


def _covers(budget: Object, workload: Object) -> bool:
    selector, labels = budget["spec"]["selector"], labels_of(workload)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(term["key"]) in term["values"] for term in selector.get("matchExpressions", ())
    )


def _is_built_in(object_: Object) -> bool:
    return object_["apiVersion"] in _BUILT_IN or ".k8s.io/" in object_["apiVersion"]
