"""Accounts of customers in the ERPs of legal entities."""
