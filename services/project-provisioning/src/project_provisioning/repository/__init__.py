"""Aggregates as rows, one module for each: get, add and save, state and events together."""
