"""Image names are pinned and bear no host; the Dockerfile keeps to its rules."""

import pytest

from tools.deployment import images


def test_the_recipe_as_it_is_has_no_fault(recipe: str) -> None:
    assert list(images.recipe_problems(recipe)) == []


@pytest.mark.parametrize(
    ("line", "planted", "fault"),
    [
        ("USER 10001:10001", "", "runs as root"),
        ("USER 10001:10001", "USER throughline", "runs as root"),
        ("USER 10001:10001", "USER 0:0", "runs as root"),
        ("3.11-slim-bookworm", "latest", "is not pinned"),
        ("=python:3.11", "=mirror.test/python:3.11", "names a registry"),
        ("/livez", "/", "no HEALTHCHECK on /livez"),
        (
            'ENTRYPOINT ["/bin/sh", "-c", "exec python',
            'ENTRYPOINT exec "python',
            "gets the signals",
        ),
        ("GRPC_VERBOSITY=ERROR", "GRPC_VERBOSITY=INFO", "gRPC writes"),
        ("VERSION=0", "VERSION=9", "label is not"),
        ("org.opencontainers.image", "image", "no labels"),
        (" --require-hashes", "", "not checked by their hash"),
        ("WORKDIR /tmp", "RUN apt-get install --yes curl", "package lists are left behind"),
        ("WORKDIR /tmp", "RUN mkdir /data", "the final image runs commands"),
        ("WORKDIR /tmp", "ADD https://example.test/x /x", "ADD unpacks and downloads"),
        ("WORKDIR /tmp", "ENV DATABASE_PASSWORD=x", "stays in the image's history"),
    ],
)
def test_a_planted_mistake_is_found(recipe: str, line: str, planted: str, fault: str) -> None:
    assert line in recipe

    problems = list(images.recipe_problems(recipe.replace(line, planted)))

    assert [problem for problem in problems if fault in problem]


@pytest.mark.parametrize("name", ["postgres:18.4-bookworm", "otel/opentelemetry-collector:0.139.0"])
def test_a_pinned_image_of_the_default_registry_is_fine(name: str) -> None:
    assert list(images.problems(name)) == []


def test_an_image_of_ours_has_our_version() -> None:
    assert list(images.problems("throughline/reporting:0.0.9"))
