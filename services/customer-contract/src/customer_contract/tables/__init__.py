"""The tables, in the order of the migrations, which hold their constraints and reasons."""

from customer_contract.tables.columns import metadata
from customer_contract.tables.contracts import contract, contract_line, contract_terms
from customer_contract.tables.parties import credit_hold_move, customer, legal_entity, number_series
from customer_contract.tables.price_lists import catalogue_entry, rate_card, rate_card_entry
from customer_contract.tables.quotes import quote, quote_line

__all__ = [
    "catalogue_entry",
    "contract",
    "contract_line",
    "contract_terms",
    "credit_hold_move",
    "customer",
    "legal_entity",
    "metadata",
    "number_series",
    "quote",
    "quote_line",
    "rate_card",
    "rate_card_entry",
]
