"""`demo`: the whole story, from a CRM quote to a paid invoice, on this machine."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from throughline_cli.commands.lifecycle import service_names, start_showing_progress
from throughline_cli.commands.lineage import show_path
from throughline_cli.commands.reconcile import show_invariants
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack import control
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.story.cast import Cast
from throughline_cli.story.checks import Check, checks
from throughline_cli.story.teller import Teller
from throughline_cli.story.told import Step, Told


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(demo)


def demo(
    folder: Folder = Path(DEFAULT_FOLDER),
    once: Annotated[
        bool,
        typer.Option("--once", help="On fresh data in a temporary folder, and stop afterwards."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell one month of an invented firm: quotes, projects, work, invoices, payments, books.

    Starts a sandbox if none runs, and leaves it running to be looked at. Exits with 1 if the story
    does not end as it must. Telling it again changes nothing.

    Examples: `throughline demo`; `throughline demo --once --json`
    """
    if not once:
        _tell(Layout.at(folder), as_json=as_json, stays=True)
        return
    with TemporaryDirectory(prefix="throughline-", ignore_cleanup_errors=True) as scratch:
        layout = Layout.at(Path(scratch) / "stack")
        try:
            _tell(layout, as_json=as_json, stays=False)
        finally:
            control.stop(layout, force=False)


def _tell(layout: Layout, *, as_json: bool, stays: bool) -> None:
    started_at = time.monotonic()
    state = start_showing_progress(layout, service_names(()), sandbox=True, quiet=as_json)
    with Cast(layout) as cast:
        teller = Teller(layout, state, cast, started_at)
        _run(teller.steps(), quiet=as_json)
        found = checks(teller.told, cast)
    seconds = time.monotonic() - started_at
    if as_json:
        show_json(_document(teller.told, found, seconds))
    else:
        _show(teller.told, found, state.gateway_url or "", seconds, stays=stays)
    failed = [check.claim for check in found if not check.holds]
    if failed:
        raise StackFailure(f"the story did not end as it must: {'; '.join(failed)}")


def _run(steps: Sequence[Step], *, quiet: bool) -> None:
    """Tell the steps: a bar on a terminal, a line each elsewhere."""
    is_terminal = sys.stdout.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True, disable=quiet or not is_terminal) as progress:
        task = progress.add_task("", total=len(steps))
        for step in steps:
            progress.update(task, description=step.text)
            step.tell()
            progress.advance(task)
            if not quiet:
                progress.console.print(f"[green]✓[/] {step.text}")


def _show(told: Told, found: Sequence[Check], url: str, seconds: float, *, stays: bool) -> None:
    say("")
    say("[bold]One amount, from the CRM's record to the payment[/]")
    show_path(told.cent)
    say("")
    say("[bold]Do all services tell the same story?[/]")
    show_invariants(told.reconciliation)
    say("")
    show_table(
        ("invoice", "buyer", "net", "tax", "total", "paid", "state", "document"),
        (
            (
                invoice["number"],
                invoice["buyer"]["name"],
                invoice["net_total"]["amount"],
                invoice["tax_total"]["amount"],
                f"{invoice['gross_total']['amount']} {invoice['currency']}",
                invoice["paid_total"]["amount"],
                invoice["status"],
                path if stays else "made",
            )
            for invoice, path in zip(told.invoices.values(), told.documents, strict=True)
        ),
    )
    say("")
    for check in found:
        if not check.holds:
            say(f"[red]✗ {check.claim}: expected {check.expected}, found {check.found}[/]")
    say(
        f"{sum(check.holds for check in found)} of {len(found)} claims hold; first document after "
        f"{told.first_document_seconds or 0:.0f} s, everything after {seconds:.0f} s"
    )
    if stays:
        say("")
        say(f"look around  {url}/docs   sign in with   throughline token --role finance")
        say(f"the chain    throughline lineage invoice {told.invoices['DE01']['number']}")
        say("the books    throughline reconcile")
        say("stop         throughline down")


def _document(told: Told, found: Sequence[Check], seconds: float) -> dict[str, object]:
    return {
        "holds": all(check.holds for check in found),
        "claims": [
            {
                "claim": check.claim,
                "holds": check.holds,
                "expected": check.expected,
                "found": check.found,
            }
            for check in found
        ],
        "invoices": list(told.invoices.values()),
        "lineage": told.cent,
        "reconciliation": told.reconciliation,
        "first_document_seconds": told.first_document_seconds,
        "seconds": round(seconds, 1),
    }
