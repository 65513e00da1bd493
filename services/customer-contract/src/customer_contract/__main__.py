"""`python -m customer_contract <role>`."""

from customer_contract.main import main

main()
