"""Renders the part of kustomize that our manifests use, so that they are checked on any machine.

No wheel carries the program itself. What this module does not know it refuses, and where kubectl is
installed the check compares the two.
"""

import copy
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tools.deployment import jsonpatch

Object = dict[str, Any]

_FILE: Final = "kustomization.yaml"
_FIELDS: Final = {
    "apiVersion",
    "kind",
    "resources",
    "components",
    "configMapGenerator",
    "patches",
    "namespace",
    "namePrefix",
    "commonLabels",
    "images",
}
_CLUSTER_SCOPED: Final = {"Namespace"}
_TEMPLATED: Final = {"Deployment", "Job", "StatefulSet"}
_HASH_ALPHABET: Final = str.maketrans("013ae", "ghkmt")
_HASH_LENGTH: Final = 10


class KustomizeError(Exception):
    """The manifests name what is not there, or use what is not supported here."""


@dataclass(slots=True)
class _Resource:
    object: Object
    is_hashed: bool = False
    """Its name gets a hash of its content at the end, so that who uses it is rolled over."""

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.object["metadata"].get("labels", {})
        return labels


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of one overlay, and the files they were made from."""

    objects: Sequence[Object]
    files: frozenset[Path]


def render(folder: Path) -> Rendered:
    """Return what the kustomization in `folder` builds.

    Raises:
        KustomizeError: see there.
    """
    builder = _Builder()
    resources = builder.build(folder.resolve(), "Kustomization", [])
    _add_hashes(resources)
    names = [(each.kind, each.name) for each in resources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KustomizeError(f"{folder}: there are two of {sorted(twice)}")
    if idle := [place for place, found in builder.patched.items() if not found]:
        raise KustomizeError(f"patches that change nothing: {idle}")
    return Rendered([each.object for each in resources], frozenset(builder.files))


def differences(folder: Path, rendered: Rendered) -> Sequence[str] | None:
    """Return where `kubectl kustomize` builds something else, None where it is not installed."""
    program = shutil.which("kubectl")
    if program is None:
        return None
    done = subprocess.run(
        [program, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return [done.stderr]
    theirs, ours = (
        {(each["kind"], each["metadata"]["name"]): each for each in objects}
        for objects in (yaml.safe_load_all(done.stdout), rendered.objects)
    )
    return [
        f"kubectl builds {kind} {name} differently"
        for kind, name in sorted(theirs.keys() | ours.keys())
        if theirs.get((kind, name)) != ours.get((kind, name))
    ]


@dataclass
class _Builder:
    files: set[Path] = field(default_factory=set)
    patched: dict[str, bool] = field(default_factory=dict)
    """Each patch, and whether it found anything to change."""

    def build(self, folder: Path, kind: str, resources: list[_Resource]) -> list[_Resource]:
        """Return `resources`, and those of the kustomization here, changed as it says."""
        said = self._read_kustomization(folder, kind)
        resources = [*resources, *self._resources(folder, said.get("resources", ()))]
        for component in said.get("components", ()):
            resources = self.build((folder / component).resolve(), "Component", resources)
        for generator in said.get("configMapGenerator", ()):
            self._generate(folder, generator, resources)
        for patch in said.get("patches", ()):
            self._patch(folder, patch, resources)
        if "namespace" in said:
            _set_namespace(resources, said["namespace"])
        if "namePrefix" in said:
            _rename(resources, {each.name: said["namePrefix"] + each.name for each in resources})
        _add_labels(resources, said.get("commonLabels", {}))
        _set_images(resources, said.get("images", ()))
        return resources

    def _read_kustomization(self, folder: Path, kind: str) -> Mapping[str, Any]:
        [said] = self._documents(folder, folder / _FILE)
        if unknown := set(said) - _FIELDS:
            raise KustomizeError(f"{folder / _FILE}: {sorted(unknown)} is not supported here")
        if said.get("kind") != kind:
            raise KustomizeError(f"{folder / _FILE}: it should be a {kind}")
        return said

    def _resources(self, folder: Path, paths: Iterable[str]) -> Iterator[_Resource]:
        for path in paths:
            target = (folder / path).resolve()
            if target.is_dir():
                yield from self.build(target, "Kustomization", [])
            else:
                yield from (_Resource(each) for each in self._documents(folder, target))

    def _generate(
        self, folder: Path, generator: Mapping[str, Any], resources: list[_Resource]
    ) -> None:
        data = {}
        for literal in generator.get("literals", ()):
            name, _, value = literal.partition("=")
            data[name] = value
        for file in generator.get("files", ()):
            data[file] = self._text(folder, folder / file)
        present = [r for r in resources if (r.kind, r.name) == ("ConfigMap", generator["name"])]
        match generator.get("behavior", "create"), present:
            case "create", []:
                object_ = {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": generator["name"]},
                    "data": data,
                }
                resources.append(_Resource(object_, is_hashed=True))
            case "merge", [one]:
                one.object["data"] |= data
            case behavior, _:
                raise KustomizeError(
                    f"{folder}: cannot {behavior} {generator['name']}, of which there are"
                    f" {len(present)}"
                )

    def _patch(self, folder: Path, patch: Mapping[str, Any], resources: list[_Resource]) -> None:
        text = patch.get("patch") or self._text(folder, folder / patch["path"])
        content = yaml.safe_load(text)
        wanted = None
        if isinstance(content, list):
            chosen = [each for each in resources if _is_target(each, patch["target"])]
        else:
            wanted = (content["kind"], content["metadata"]["name"])
            chosen = [each for each in resources if (each.kind, each.name) == wanted]
        place = f"{folder / _FILE}: {patch.get('target') or wanted}"
        self.patched[place] = self.patched.get(place, False) or bool(chosen)
        for each in chosen:
            try:
                if isinstance(content, list):
                    each.object = jsonpatch.apply(each.object, content)
                else:
                    each.object = _merge(each.object, content)
            except jsonpatch.PatchError as error:
                raise KustomizeError(f"{folder}: {each.kind} {each.name}: {error}") from error

    def _documents(self, folder: Path, path: Path) -> list[Object]:
        return [each for each in yaml.safe_load_all(self._text(folder, path)) if each]

    def _text(self, folder: Path, path: Path) -> str:
        path = path.resolve()
        if folder not in path.parents:
            raise KustomizeError(f"{folder / _FILE}: {path} is outside, which kustomize refuses")
        if not path.is_file():
            raise KustomizeError(f"{folder / _FILE}: there is no {path}")
        self.files.add(path)
        return path.read_text(encoding="utf-8")


def _is_target(resource: _Resource, target: Mapping[str, str]) -> bool:
    if unknown := set(target) - {"kind", "name", "labelSelector"}:
        raise KustomizeError(f"a patch's target by {sorted(unknown)} is not supported here")
    return (
        target.get("kind", resource.kind) == resource.kind
        and re.fullmatch(target.get("name", ".*"), resource.name) is not None
        and _has_labels(resource.labels, target.get("labelSelector", ""))
    )


def _has_labels(labels: Mapping[str, str], selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        name, operator, value = re.split(r"(!?=)", term, maxsplit=1)
        if (labels.get(name) == value) != (operator == "="):
            return False
    return True


def _merge(target: Object, change: Mapping[str, Any]) -> Object:
    """Merge maps and replace the rest, as is done for kinds whose lists have no known keys."""
    if "." not in target["apiVersion"].partition("/")[0] or ".k8s.io/" in target["apiVersion"]:
        raise jsonpatch.PatchError("a merge of built-in kinds is not supported here")
    merged: Object = _merged(target, change)
    return merged


def _merged(target: Any, change: Any) -> Any:
    if not (isinstance(target, dict) and isinstance(change, Mapping)):
        return copy.deepcopy(change)
    return target | {key: _merged(target.get(key), value) for key, value in change.items()}


def _set_namespace(resources: Iterable[_Resource], namespace: str) -> None:
    for resource in resources:
        metadata = resource.object["metadata"]
        metadata["name" if resource.kind in _CLUSTER_SCOPED else "namespace"] = namespace


def _rename(resources: Iterable[_Resource], names: Mapping[str, str]) -> None:
    """Give resources new names, and who refers to them too."""
    resources = list(resources)
    renamed = {(each.kind, each.name): names[each.name] for each in resources if each.name in names}
    for resource in resources:
        for kind, holder, key in _references(resource.object):
            holder[key] = renamed.get((kind, holder[key]), holder[key])
        resource.object["metadata"]["name"] = renamed.get(
            (resource.kind, resource.name), resource.name
        )


def _references(object_: Object) -> Iterator[tuple[str, Object, str]]:
    """Find where a pod names ConfigMaps and its account: the kind, and the place of the name."""
    if object_["kind"] not in _TEMPLATED:
        return
    pod = object_["spec"]["template"]["spec"]
    if "serviceAccountName" in pod:
        yield "ServiceAccount", pod, "serviceAccountName"
    for container in pod["containers"]:
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                yield "ConfigMap", source["configMapRef"], "name"
    for volume in pod.get("volumes", ()):
        for source in volume.get("projected", {}).get("sources", ()):
            if "configMap" in source:
                yield "ConfigMap", source["configMap"], "name"


def _add_labels(resources: Iterable[_Resource], labels: Mapping[str, str]) -> None:
    if not labels:
        return
    for resource in resources:
        object_ = resource.object
        places = [object_["metadata"].setdefault("labels", {})]
        spec = object_.get("spec", {})
        if resource.kind in _TEMPLATED:
            places.append(spec["template"].setdefault("metadata", {}).setdefault("labels", {}))
        if resource.kind == "Service":
            places.append(spec["selector"])
        elif "matchLabels" in spec.get("selector", {}):
            places.append(spec["selector"]["matchLabels"])
        for place in places:
            place.update(labels)


def _set_images(resources: Iterable[_Resource], images: Sequence[Mapping[str, str]]) -> None:
    replaced = {each["name"]: f"{each['newName']}:{each['newTag']}" for each in images}
    for resource in resources:
        if resource.kind in _TEMPLATED:
            for container in resource.object["spec"]["template"]["spec"]["containers"]:
                container["image"] = replaced.get(container["image"], container["image"])


def _add_hashes(resources: Sequence[_Resource]) -> None:
    hashed = [each for each in resources if each.is_hashed]
    _rename(resources, {each.name: f"{each.name}-{_hash(each.object)}" for each in hashed})


def _hash(config_map: Object) -> str:
    """Return kustomize's hash of a ConfigMap: of its JSON as Go writes it, in letters it likes."""
    # The program means the name to count, but always finds an empty one.
    content = {"data": config_map["data"], "kind": "ConfigMap", "name": ""}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return digest[:_HASH_LENGTH].translate(_HASH_ALPHABET)
