"""The command line of the benchmarks."""

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict

from e2e_sandbox import sandbox

from load.bench import FULL, QUICK, bench
from load.figures import Figure
from throughline_cli.output import say, show_json, show_table


def main() -> None:
    """Measure and print; a figure short of its aim is shown, and is no failure."""
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within a minute, less exact")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    with sandbox() as stack:
        figures = asyncio.run(bench(stack, size))
    if arguments.json:
        show_json(document(figures))
    else:
        _show(figures)


def document(figures: Sequence[Figure]) -> dict[str, object]:
    """Return the figures as a program reads them."""
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "figures": [
            asdict(figure) | {"is_reached": figure.is_reached, "ratio": figure.ratio}
            for figure in figures
        ],
    }


def _show(figures: Sequence[Figure]) -> None:
    show_table(
        ("what", "", "", "aim", "", "of the floor", "which is"),
        (
            (
                figure.name,
                _number(figure.value),
                figure.unit,
                "" if figure.aim is None else _aim(figure),
                {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[figure.is_reached],
                "" if figure.ratio is None else f"{figure.ratio:.2f}",
                "" if figure.floor is None else f"{_number(figure.floor)} {figure.floor_name}",
            )
            for figure in figures
        ),
    )
    say(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def _aim(figure: Figure) -> str:
    return f"{'≤' if figure.is_cost else '≥'} {_number(figure.aim or 0)}"
