"""What may be asked of the service: load, decide, save, inside a transaction that is given."""
