"""The tables, by area; the migrations hold their constraints and the reasons for them."""

from billing_event.tables.columns import insert_of, metadata
from billing_event.tables.ledger import (
    allocation,
    amendment,
    billing_event,
    contract_state,
    contract_terms,
    covered_item,
    customer_state,
    fact_epoch,
    hold,
    limit_account,
    limit_entry,
    position,
    rate_card,
    recurring_period,
    release_policy,
    source_item,
    source_step,
)

__all__ = [
    "allocation",
    "amendment",
    "billing_event",
    "contract_state",
    "contract_terms",
    "covered_item",
    "customer_state",
    "fact_epoch",
    "hold",
    "insert_of",
    "limit_account",
    "limit_entry",
    "metadata",
    "position",
    "rate_card",
    "recurring_period",
    "release_policy",
    "source_item",
    "source_step",
]
