"""A package a vendor: `client` speaks its HTTP, `mapping` is pure, `adapter` is the port."""
