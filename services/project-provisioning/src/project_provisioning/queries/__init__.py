"""Read-only lists and summaries, keyset-paged, within what the caller may see."""
