"""Lineage, positions, measures and reconciliation."""
