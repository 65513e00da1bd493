"""Set-based loading and saving, one module for each hot path."""
