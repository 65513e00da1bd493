"""The ledger of positions: rated, limited, held, released."""
