"""Lists and sums over the ledger, as messages; nothing here changes anything."""
