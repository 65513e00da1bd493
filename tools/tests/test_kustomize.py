"""The renderer builds what kustomize would, and refuses what it does not know."""

from pathlib import Path

import pytest

from tools.deployment.kustomize import KustomizeError, Object, render

POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: serve}
spec:
  selector: {matchLabels: {role: serve}}
  template:
    metadata: {labels: {role: serve}}
    spec:
      containers:
        - name: serve
          image: service
          envFrom: [{configMapRef: {name: settings}}]
"""
SERVICE = """
kind: Kustomization
resources: [pod.yaml]
namePrefix: billing-
commonLabels: {name: billing}
images: [{name: service, newName: throughline/billing, newTag: 1.2.3}]
configMapGenerator:
  - {name: settings, literals: [A=one]}
"""


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def built(folder: Path) -> dict[str, Object]:
    return {each["kind"]: each for each in render(folder).objects}


@pytest.fixture
def service(tmp_path: Path) -> Path:
    return write(tmp_path / "service", pod=POD, kustomization=SERVICE)


def test_a_prefix_and_a_hash_reach_those_who_refer_to_the_name(service: Path) -> None:
    objects = built(service)

    name = objects["ConfigMap"]["metadata"]["name"]
    [container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert objects["Deployment"]["metadata"]["name"] == "billing-serve"
    assert name.startswith("billing-settings-")
    assert container["envFrom"] == [{"configMapRef": {"name": name}}]
    assert container["image"] == "throughline/billing:1.2.3"


def test_labels_reach_selectors_and_pods(service: Path) -> None:
    spec = built(service)["Deployment"]["spec"]

    assert spec["selector"]["matchLabels"] == {"role": "serve", "name": "billing"}
    assert spec["template"]["metadata"]["labels"] == {"role": "serve", "name": "billing"}


def test_a_changed_setting_changes_the_name_so_that_pods_are_rolled_over(service: Path) -> None:
    before = built(service)["ConfigMap"]["metadata"]["name"]
    (service / "kustomization.yaml").write_text(SERVICE.replace("A=one", "A=two"))

    assert built(service)["ConfigMap"]["metadata"]["name"] != before


def test_an_overlay_merges_settings_and_patches_what_it_names(service: Path) -> None:
    overlay = write(
        service.parent / "overlay",
        kustomization="""
kind: Kustomization
resources: [../service]
configMapGenerator: [{name: billing-settings, behavior: merge, literals: [B=two]}]
patches:
  - target: {kind: Deployment, labelSelector: "name=billing,name!=other"}
    patch: "[{op: add, path: /spec/replicas, value: 3}]"
""",
    )

    objects = built(overlay)

    assert objects["ConfigMap"]["data"] == {"A": "one", "B": "two"}
    assert objects["Deployment"]["spec"]["replicas"] == 3


def test_a_component_changes_what_includes_it(service: Path) -> None:
    write(
        service.parent / "component",
        kustomization="""
kind: Component
patches:
  - target: {kind: Deployment, name: ser.e}
    patch: "[{op: copy, from: /metadata/name, path: /spec/copied}]"
""",
    )
    (service / "kustomization.yaml").write_text(SERVICE + "components: [../component]\n")

    assert built(service)["Deployment"]["spec"]["copied"] == "serve"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ("kind: Component\nresources: [pod.yaml]", "should be a Kustomization"),
        ("kind: Kustomization\nresources: [gone.yaml]", "there is no"),
        ("kind: Kustomization\nresources: [../elsewhere/pod.yaml]", "is outside"),
        ("kind: Kustomization\nresources: [pod.yaml]\nvars: []", "'vars'"),
        ("kind: Kustomization\nresources: [pod.yaml, pod.yaml]", "there are two"),
        (
            "kind: Kustomization\nresources: [pod.yaml]\n"
            'patches: [{target: {kind: Job}, patch: "[]"}]',
            "change nothing",
        ),
        (
            "kind: Kustomization\nresources: [pod.yaml]\n"
            'patches: [{target: {name: serve}, patch: "[{op: remove, path: /spec/replicas}]"}]',
            "there is no /spec/replicas",
        ),
        (
            "kind: Kustomization\nresources: [pod.yaml]\n"
            "configMapGenerator: [{name: settings, behavior: merge, literals: [A=1]}]",
            "cannot merge settings",
        ),
    ],
)
def test_what_is_not_there_or_not_known_is_refused(service: Path, said: str, refusal: str) -> None:
    write(service.parent / "elsewhere", pod=POD)
    (service / "kustomization.yaml").write_text(said)

    with pytest.raises(KustomizeError, match=refusal):
        render(service)


def test_every_file_that_was_used_is_told(service: Path) -> None:
    assert {file.name for file in render(service).files} == {"kustomization.yaml", "pod.yaml"}
