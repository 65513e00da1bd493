"""Runs the migrations of the probe."""

from toy_ledger.tables import METADATA

from throughline_runtime.migrate import run_environment

run_environment(METADATA)
