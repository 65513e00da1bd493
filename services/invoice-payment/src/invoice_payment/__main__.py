"""`python -m invoice_payment serve|consume|relay|schedule|all|migrate`."""

from invoice_payment.main import main

main()
