"""Runs the migrations of invoice-payment."""

from invoice_payment.tables import metadata
from throughline_runtime.migrate import run_environment

run_environment(metadata)
