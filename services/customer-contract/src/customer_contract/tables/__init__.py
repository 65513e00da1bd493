"""The tables, in the order of the migrations, which hold their constraints and reasons."""

from customer_contract.tables.change_orders import change_order
from customer_contract.tables.columns import metadata
from customer_contract.tables.contracts import contract, contract_line, contract_terms
from customer_contract.tables.costs import cost_rate_card, cost_rate_entry, cost_rate_proposal
from customer_contract.tables.governance import (
    credit_limit_move,
    credit_override,
    customer_move,
    data_quality_rule,
    period_close_move,
)
from customer_contract.tables.parties import credit_hold_move, customer, legal_entity, number_series
from customer_contract.tables.price_lists import (
    catalogue_entry,
    catalogue_version,
    price_policy,
    price_proposal,
    rate_card,
    rate_card_entry,
)
from customer_contract.tables.quotes import (
    document,
    quote,
    quote_approval,
    quote_document,
    quote_line,
)

__all__ = [
    "catalogue_entry",
    "catalogue_version",
    "change_order",
    "contract",
    "contract_line",
    "contract_terms",
    "cost_rate_card",
    "cost_rate_entry",
    "cost_rate_proposal",
    "credit_hold_move",
    "credit_limit_move",
    "credit_override",
    "customer",
    "customer_move",
    "data_quality_rule",
    "document",
    "legal_entity",
    "metadata",
    "number_series",
    "period_close_move",
    "price_policy",
    "price_proposal",
    "quote",
    "quote_approval",
    "quote_document",
    "quote_line",
    "rate_card",
    "rate_card_entry",
]
