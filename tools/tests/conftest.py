"""What the checks of a deployment are tried on: our own manifests, as they are."""

import copy
import json
from functools import cache
from typing import Any

import pytest
import yaml

from tools.deployment import kustomize
from tools.deployment.declared import ROOT
from tools.deployment.objects import Cluster


@pytest.fixture
def production() -> Cluster:
    """The production overlay, for a test to spoil."""
    return Cluster(copy.deepcopy(_production()))


@pytest.fixture
def composition() -> dict[str, Any]:
    """docker-compose.yml, for a test to spoil."""
    # Anchors share what they stand for; a test means one place only.
    unshared: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(_read("docker-compose.yml"))))
    return unshared


@pytest.fixture
def recipe() -> str:
    """The Dockerfile."""
    return _read("Dockerfile")


@cache
def _production() -> list[kustomize.Object]:
    return list(kustomize.render(ROOT / "k8s/overlays/production").objects)


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
