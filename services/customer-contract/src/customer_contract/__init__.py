"""Customers, entities, rate cards, quotes, contracts."""
