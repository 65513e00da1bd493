"""`python -m billing_event <role>`."""

from billing_event.main import main

main()
