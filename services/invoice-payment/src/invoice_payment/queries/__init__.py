"""Lists and summaries: read-only, in pages, as messages."""
