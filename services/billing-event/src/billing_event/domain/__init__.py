"""The rules of the ledger of positions, as pure functions over frozen values."""
