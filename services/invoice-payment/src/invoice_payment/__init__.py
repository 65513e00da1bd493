"""Invoices, numbers, tax, documents, payments, journal."""
