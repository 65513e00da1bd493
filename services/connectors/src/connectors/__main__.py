"""`python -m connectors <role>`."""

from connectors.main import main

main()
