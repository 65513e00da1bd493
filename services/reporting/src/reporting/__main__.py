"""`python -m reporting <role>`."""

from reporting.main import main

main()
