"""Alembic's entry: the runtime runs this service's migrations."""

from project_provisioning.tables import METADATA
from throughline_runtime.migrate import run_environment

run_environment(METADATA)
