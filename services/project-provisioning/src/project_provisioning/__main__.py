"""`python -m project_provisioning <role>`."""

from project_provisioning.main import main

main()
