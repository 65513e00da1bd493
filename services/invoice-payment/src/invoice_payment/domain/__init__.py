"""The rules of invoices, tax, numbers, payments and the journal, as plain functions over values."""
