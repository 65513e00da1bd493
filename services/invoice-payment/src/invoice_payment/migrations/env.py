"""Runs the migrations of invoice-payment."""

from invoice_payment.tables import METADATA
from throughline_runtime.migrate import run_environment

run_environment(METADATA)
