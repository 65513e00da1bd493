"""What a caller may ask: load, decide, save, inside a transaction the caller opened."""
