"""The benchmarks run and yield figures; what they measure is asserted nowhere."""

import asyncio

import pytest
from e2e_sandbox import Sandbox
from load.bench import TINY, bench
from load.command import document


@pytest.mark.timeout(300)
def test_every_benchmark_yields_figures(proving_ground: Sandbox) -> None:
    figures = asyncio.run(bench(proving_ground, TINY))
    assert [figure.name for figure in figures if figure.value < 0] == []
    with_aim = {figure.unit for figure in figures if figure.aim is not None}
    assert with_aim == {"entries/s", "invoices/s", "quotes/s", "ms", "MiB"}
    floored = [figure for figure in figures if figure.ratio is not None]
    assert len(floored) == 14
    assert document(figures)["figures"]
