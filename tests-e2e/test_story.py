"""The story, whole, through REST alone; told twice, it is told once."""

from typing import Any

from e2e_platform import Platform

from throughline_cli.story.checks import checks
from throughline_cli.story.teller import Teller
from throughline_cli.story.told import Told


def test_the_story_ends_as_it_must(platform: Platform, told: Told) -> None:
    failed = [check for check in checks(told, platform.cast) if not check.holds]
    assert failed == []


def test_telling_it_again_changes_nothing(platform: Platform, told: Told, teller: Teller) -> None:
    before = figures(platform)
    for step in Teller(platform.layout, platform.state, platform.cast, 0.0).steps():
        step.tell()
    assert figures(platform) == before


def figures(platform: Platform) -> Any:
    """Return every control total that counts things or money, without those of deliveries."""
    totals = platform.cast.auditor.get("/v1/operations/control-totals")["services"]
    return {
        (service["service"], total["name"]): total["figures"]
        for service in totals
        for total in service["totals"]
        if total["name"] not in {"outbox", "inbox", "webhooks"}
    }


def test_every_cent_of_the_invoice_leads_to_work_and_to_the_quote(
    platform: Platform, told: Told
) -> None:
    number = told.invoices["DE01"]["number"]
    chain = platform.cast.auditor.get(f"/v1/lineage/invoice/{number}", limit=2000)
    kinds = {node["kind"] for node in chain["nodes"]}
    assert {
        "source_record",
        "quote_line",
        "contract_line",
        "task",
        "milestone",
        "time_entry",
        "expense_line",
        "service_period",
        "billing_event",
        "invoice_line",
        "payment",
        "journal_entry",
    } <= kinds
    assert not chain["truncated"]


def test_positions_show_how_far_each_line_has_come(platform: Platform, told: Told) -> None:
    contract_id = told.contracts["DE01"]["contract_id"]
    positions = platform.cast.finance.get("/v1/positions", contract_id=contract_id)["positions"]
    by_model = {position["billing_model"]: position for position in positions}
    hours = by_model["time_and_materials"]
    assert (hours["invoiced"], hours["held"], hours["paid"]) == ("31799", "121", "31799")
    assert by_model["fixed_fee"]["invoiced"] == "9600"
    assert by_model["recurring"]["paid"] == "2500"


def test_the_audit_trails_are_unbroken(platform: Platform, told: Told) -> None:
    chains = platform.cast.auditor.get("/v1/operations/audit:verify")["chains"]
    assert [chain["service"] for chain in chains if not chain["intact"]] == []
