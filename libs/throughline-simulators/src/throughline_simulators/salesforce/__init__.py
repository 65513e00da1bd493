"""Salesforce with CPQ: REST, SOQL, record ids, and prices that are recalculated late."""
