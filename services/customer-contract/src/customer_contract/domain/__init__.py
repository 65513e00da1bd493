"""The rules of customer-contract: frozen values and pure decisions, one module per aggregate."""
