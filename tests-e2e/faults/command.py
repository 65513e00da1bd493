"""The command line of the drill: what it was, what it did, what it found."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from e2e_sandbox import sandbox

from faults.drill import Outcome, Plan, run, tell_opening
from throughline_cli.output import say, show_json, show_table

LONG: Final = Plan(seconds=600, kills=100, clients=8, seed=1)
SHORT: Final = Plan(seconds=15, kills=8, clients=6, seed=1)

CONTROLS: Final[Mapping[str, str]] = {
    "inbox": "consumers forget what they have taken",
    "keys": "clients repeat requests under new keys",
}


WITHOUT_INBOX: Final[Mapping[str, str]] = {"THROUGHLINE_INBOX_DISABLED": "true"}


def carry_out(plan: Plan, *, control: str | None = None) -> Outcome:
    """Run the drill on a sandbox of its own, with the fault of a control if one is named."""
    with sandbox(environment=WITHOUT_INBOX if control == "inbox" else None) as stack:
        tell_opening(stack)
        return run(stack, replace(plan, forgets_keys=control == "keys"))


def main() -> None:
    """Run the drill and its controls; exit with 1 unless everything is proven."""
    arguments = _arguments()
    plan = Plan(arguments.seconds, arguments.kills, arguments.clients, arguments.seed)
    runs: list[tuple[str | None, Plan]] = [(arguments.control, plan)]
    if arguments.control is None and arguments.controls:
        runs += [(control, replace(SHORT, seed=plan.seed)) for control in CONTROLS]
    documents, is_proven = [], True
    for control, chosen in runs:
        outcome = carry_out(chosen, control=control)
        is_proven &= is_as_it_must_be(outcome, control)
        documents.append(_document(outcome, control))
        if not arguments.json:
            _show(outcome, control)
    if arguments.json:
        show_json({"is_proven": is_proven, "drills": documents})
    sys.exit(0 if is_proven else 1)


def is_as_it_must_be(outcome: Outcome, control: str | None) -> bool:
    """Whether a drill found nothing, or a control found something."""
    return bool(outcome.failures) == (control is not None)


def meaning(outcome: Outcome, control: str | None) -> str:
    """Return in a sentence what the outcome says."""
    if control is None:
        return "lost 0, duplicated 0, cents off 0" if not outcome.failures else "NOT PROVEN"
    if not outcome.failures:
        return f"THE CONTROL FAILED: nothing is wrong although {CONTROLS[control]}"
    if not outcome.verdict.money_is_exact:
        return f"as it must be: money is wrong when {CONTROLS[control]}"
    return (
        f"as it must be: when {CONTROLS[control]}, nobody can say what was taken. Money is exact"
        f" all the same, {outcome.redelivered} repeated deliveries later: ids are derived from"
        " what they stand for, and every consumer inserts what is missing and nothing else"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=LONG.seconds, help="of load and kills")
    parser.add_argument("--kills", type=int, default=LONG.kills)
    parser.add_argument("--clients", type=int, default=LONG.clients)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--control", choices=tuple(CONTROLS), help="run this control alone")
    parser.add_argument(
        "--no-controls",
        dest="controls",
        action="store_false",
        help="run the drill alone; otherwise the controls follow it in short form",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def _show(outcome: Outcome, control: str | None) -> None:
    plan, ledger = outcome.plan, outcome.ledger
    title = "The drill" if control is None else f"Control: {CONTROLS[control]}"
    say(f"\n[bold]{title}[/]  seed {plan.seed}, {plan.seconds:.0f} s of load, then a month end")
    show_table(
        ("killed", "times", "slowest back after"),
        (
            (deaths.part, deaths.kills, f"{max(deaths.recoveries, default=0):.1f} s")
            for deaths in outcome.deaths.values()
            if deaths.kills
        ),
    )
    repeated = ", ".join(f"{count} x {why}" for why, count in ledger.repetitions.most_common())
    kills = sum(deaths.kills for deaths in outcome.deaths.values())
    say(f"\n{kills} kills; {ledger.requests} requests, repeated: {repeated or 'none'}")
    say(
        f"{outcome.echoed} messages published twice, {outcome.redelivered} deliveries repeated;"
        f" all taken {outcome.recovery_seconds:.0f} s after the last request"
    )
    say(
        f"accepted: {len(ledger.time)} entries of {ledger.minutes} minutes, {len(ledger.expenses)}"
        f" expenses, {len(ledger.milestones)} milestones, {ledger.amount} EUR before tax\n"
    )
    show_table(
        ("station", "rows", "amount", "lost", "duplicated", "cents off"),
        (
            (
                station.name,
                station.rows,
                station.amount,
                station.lost,
                station.doubled,
                f"{station.cents_off:.0f}",
            )
            for station in outcome.verdict.stations
        ),
    )
    for failure in outcome.failures:
        say(f"  - {failure}")
    say(f"[bold]{meaning(outcome, control)}[/]  ({outcome.seconds:.0f} s)")


def _document(outcome: Outcome, control: str | None) -> dict[str, Any]:
    ledger = outcome.ledger
    return {
        "control": control,
        "is_as_it_must_be": is_as_it_must_be(outcome, control),
        "meaning": meaning(outcome, control),
        "failures": outcome.failures,
        "plan": asdict(outcome.plan),
        "kills": {deaths.part: deaths.recoveries for deaths in outcome.deaths.values()},
        "requests": ledger.requests,
        "repetitions": ledger.repetitions,
        "echoed": outcome.echoed,
        "redelivered": outcome.redelivered,
        "recovery_seconds": round(outcome.recovery_seconds, 1),
        "accepted": {
            "entries": len(ledger.time),
            "minutes": ledger.minutes,
            "expenses": len(ledger.expenses),
            "milestones": len(ledger.milestones),
            "amount": ledger.amount,
        },
        "stations": [asdict(station) for station in outcome.verdict.stations],
        "seconds": round(outcome.seconds, 1),
    }
