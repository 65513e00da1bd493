"""The hot path: whole batches of the ledger, one statement for each table, however many rows."""
