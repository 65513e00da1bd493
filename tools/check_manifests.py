"""Check images, Compose file, Kubernetes manifests and runbooks, without engine and cluster.

python tools/check_manifests.py   prints what is wrong, and fails if anything is
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import yaml

# A script finds only its own folder; `tools` lies one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.deployment import (
    compose,
    deployed,
    hygiene,
    images,
    kustomize,
    objects,
    observability,
    render,
    runbooks,
    schema,
)
from tools.deployment.declared import ROOT

OVERLAYS: Final = ("small", "production")

_FOLDERS: Final = ("k8s", "deploy")
_FILES: Final = ("Dockerfile", ".dockerignore", "docker-compose.yml")
_SUFFIXES: Final = {".yaml", ".yml", ".json", ".conf", ".sql", ".md"}


def main() -> int:
    problems = list(_problems())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _problems() -> Iterator[str]:
    yield from images.recipe_problems(_read("Dockerfile"))
    yield from _texts()
    yield from _clusters()
    yield from schema.compose_problems(ROOT / "docker-compose.yml")
    yield from compose.problems(yaml.safe_load(_read("docker-compose.yml")), ROOT)
    yield from compose.scrape_problems(yaml.safe_load(_read("deploy/prometheus/prometheus.yml")))
    yield from _alerts()
    yield from _runbooks()
    yield from hygiene.broker_problems(ROOT / "deploy/nats")
    for path in render.stale(ROOT):
        yield f"{path} is out of date: python tools/render_deployment.py"


def _texts() -> Iterator[str]:
    files = [ROOT / name for name in _FILES]
    for folder in _FOLDERS:
        files += [file for file in sorted((ROOT / folder).rglob("*")) if _is_ours(file)]
    for file in files:
        name = str(file.relative_to(ROOT))
        yield from hygiene.text_problems(name, file.read_text(encoding="utf-8"))


def _clusters() -> Iterator[str]:
    used: set[Path] = set()
    custom: list[objects.Object] = []
    for overlay in OVERLAYS:
        folder = ROOT / "k8s/overlays" / overlay
        try:
            rendered = kustomize.render(folder)
        except kustomize.KustomizeError as error:
            yield str(error)
            return
        used |= rendered.files
        cluster = objects.Cluster(rendered.objects)
        custom += cluster.custom
        for problem in (
            *_or_say("kubectl", kustomize.differences(folder, rendered)),
            *objects.problems(cluster),
            *deployed.problems(cluster),
        ):
            yield f"{overlay}: {problem}"
    yield from schema.custom_resource_problems(custom)
    yield from hygiene.unused(ROOT / "k8s", used)


def _alerts() -> Iterator[str]:
    rules = ROOT / "deploy/prometheus/alerts.yml"
    yield from observability.rule_problems(yaml.safe_load(rules.read_text(encoding="utf-8")), ROOT)
    yield from observability.dashboard_problems(
        yaml.safe_load(_read("deploy/grafana/throughline.json"))
    )
    yield from _or_say("promtool", observability.promtool_problems(rules))


def _runbooks() -> Iterator[str]:
    pages = {
        file.name: file.read_text(encoding="utf-8")
        for file in (ROOT / "docs/runbooks").glob("*.md")
    }
    for name, text in sorted(pages.items()):
        yield from runbooks.problems(name, text, list(pages))


def _or_say(program: str, found: Sequence[str] | None) -> Sequence[str]:
    """Return what a program found, or say that it is not there to look."""
    if found is None:
        print(f"{program} is not installed: its own check is left out", file=sys.stderr)
    return found or ()


def _is_ours(file: Path) -> bool:
    return file.is_file() and file.suffix in _SUFFIXES and ".throughline" not in file.parts


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
