"""The throughline command: one-machine stack, demo, lineage, reconcile, replay."""
