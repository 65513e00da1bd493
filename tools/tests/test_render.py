"""What is rendered says what the code declares, and no file is older than the code."""

import re
from pathlib import Path

import yaml

from throughline_cli.stack.services import ALL_SERVICES, SERVICES
from throughline_runtime.streams import Durable
from tools.deployment import declared, network, render
from tools.deployment.declared import ROOT

RATE = Durable("PROJECT_PROVISIONING", "billing-event-rate-time", "project_provisioning.time.>")


def test_the_rendered_files_are_fresh() -> None:
    assert render.stale(ROOT) == {}


def test_a_file_that_was_edited_by_hand_or_is_missing_is_stale(tmp_path: Path) -> None:
    assert set(render.stale(tmp_path)) == set(render.files())


def test_a_service_may_publish_and_take_only_its_own() -> None:
    users = render.broker_users({"billing-event": (RATE,), "reporting": ()})

    of_reporting = users.partition("user: reporting")[2]
    assert "billing" not in of_reporting
    assert '"reporting.>"' in of_reporting
    assert '"$JS.API.CONSUMER.MSG.NEXT.PROJECT_PROVISIONING.billing-event-rate-time"' in users
    assert re.findall(r"password: (\S+)", users) == [
        "$ADMINISTRATOR",
        "$BILLING_EVENT",
        "$REPORTING",
    ]


def test_each_service_gets_its_database_by_the_same_statements_as_on_one_machine() -> None:
    script = render.database_script()

    for service in SERVICES:
        package = service.package
        assert f'CREATE DATABASE "{package}" OWNER "{package}_owner"' in script
        assert f'REVOKE ALL ON DATABASE "{package}" FROM PUBLIC;' in script
        assert f"PASSWORD :'{package}';" in script
        assert f"\\set {package} `cat /run/secrets/database-{service.name}`" in script


def test_consumers_are_scaled_by_every_durable_they_have() -> None:
    text = render.files()[Path("k8s/components/keda/scaledobjects.yaml")]

    scaled = {
        trigger["metadata"]["consumer"]
        for each in yaml.safe_load_all(text)
        for trigger in each["spec"]["triggers"]
    }
    assert scaled == {durable.name for each in declared.durables().values() for durable in each}


def test_a_service_may_call_those_its_code_calls_and_nobody_else() -> None:
    policies = {
        policy["metadata"]["name"]: policy["spec"]
        for policy in network.peer_policies({"gateway": ("reporting",), "reporting": ()})
    }

    [to] = policies["gateway-peers"]["egress"]
    [origin] = policies["reporting-peers"]["ingress"]
    assert "egress" not in policies["reporting-peers"]
    assert to["to"][0]["podSelector"]["matchLabels"][network.NAME] == "reporting"
    assert origin["from"][0]["podSelector"]["matchLabels"] == {network.NAME: "gateway"}
    assert to["ports"] == origin["ports"] == [{"protocol": "TCP", "port": 50051}]


def test_calls_are_read_from_the_code() -> None:
    calls = declared.calls()

    assert set(calls) == {service.name for service in ALL_SERVICES}
    assert set(calls["gateway"]) == {service.name for service in SERVICES}
    assert "customer-contract" in calls["project-provisioning"]
    assert all(name not in called for name, called in calls.items())
