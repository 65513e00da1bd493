"""Keeps what changes one thing at a time: facts, limits, the billing calendar, policies."""
