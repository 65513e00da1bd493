"""A service reduced to its tables: what the runtime's own tests migrate and work on."""
