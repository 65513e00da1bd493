"""What callers may ask and what events ask for: load, decide, save, inside a given transaction."""
