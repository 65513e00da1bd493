"""Alembic's entry: the runtime runs this service's migrations."""

from billing_event.tables import metadata
from throughline_runtime.migrate import run_environment

run_environment(metadata)
