"""Salesforce CPQ: approved quotes and the accounts they are for."""
