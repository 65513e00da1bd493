"""Alerts and dashboards name metrics that exist, and alerts lead to a page."""

from typing import Any

import pytest
import yaml

from tools.deployment import declared, observability
from tools.deployment.declared import ROOT


def rules() -> Any:
    return yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())


def dashboard() -> Any:
    return yaml.safe_load((ROOT / "deploy/grafana/throughline.json").read_text())


def test_alerts_and_dashboard_as_they_are_have_no_fault() -> None:
    assert list(observability.rule_problems(rules(), ROOT)) == []
    assert list(observability.dashboard_problems(dashboard())) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"expr": "throughline_parkt > 0"}, "no process exports throughline_parkt"),
        ({"expr": "sum(rate(throughline_parked[5m]) > 0"}, "brackets do not close"),
        ({"expr": ""}, "no expression"),
        ({"for": ""}, "fires at once"),
        ({"labels": {"severity": "panic"}}, "its severity is none"),
        ({"annotations": {"runbook": "docs/runbooks/month-end.md"}}, "what is wrong"),
        ({"annotations": {"summary": "?", "runbook": "docs/runbooks/pray.md"}}, "no runbook"),
        ({"alert": "MessagesParked"}, "two alerts MessagesParked"),
    ],
)
def test_a_planted_mistake_in_an_alert_is_found(change: dict[str, Any], fault: str) -> None:
    spoilt = rules()
    spoilt["groups"][0]["rules"][0].update(change)

    problems = list(observability.rule_problems(spoilt, ROOT))

    assert [problem for problem in problems if fault in problem]


def test_panels_that_lie_on_one_another_are_found() -> None:
    spoilt = dashboard()
    spoilt["panels"][1]["gridPos"] = spoilt["panels"][0]["gridPos"]

    assert list(observability.dashboard_problems(spoilt)) == [
        f"panel {spoilt['panels'][1]['title']}: lies on another"
    ]


def test_what_issue_and_code_call_a_metric_is_what_prometheus_sees() -> None:
    names = declared.metrics()

    assert {
        "throughline_outbox_pending",
        "throughline_consumed_total",
        "throughline_rpc_seconds_bucket",
        "throughline_unbilled_amount",
    } <= names
    assert "throughline_consumed" not in names
