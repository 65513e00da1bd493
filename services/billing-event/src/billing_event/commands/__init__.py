"""What may be asked of the ledger: one function each, inside a transaction it is given."""
