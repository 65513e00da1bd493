"""The fault drill: everything is killed at random under load, and every cent must be there.

`ledger` is what clients know they were promised, `clients` the load, `killer` the faults,
`month_end` makes invoices and money of it, `judge` compares, `drill` puts it together.
"""
