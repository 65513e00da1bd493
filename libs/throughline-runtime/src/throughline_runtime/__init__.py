"""The IO every service shares: database, outbox, inbox, once, rpc, telemetry, life cycle."""
