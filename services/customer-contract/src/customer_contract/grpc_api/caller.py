"""Who writes: the caller as it goes on record."""

from datetime import datetime

from customer_contract.domain.contract_terms import Amendment
from customer_contract.domain.proposal import Act
from customer_contract.domain.quote import Proposer
from throughline_runtime.identity import Caller, current_caller


def read_proposer() -> Proposer:
    """Return who writes an offer: a person, or the service that brings it in.

    A service that works on somebody's behalf vouches for what it brings in: it is on record.
    """
    caller = current_caller()
    if caller.actor is not None:
        return Proposer(Caller.service(caller.actor).subject, is_service=True)
    return Proposer(caller.subject, caller.is_service)


def read_amendment(at: datetime, *, reason: str = "") -> Amendment:
    """Return how terms written by the caller at `at` came to be."""
    return Amendment(current_caller().subject, at, reason=reason)


def read_act(at: datetime, comment: str = "") -> Act:
    """Return what the caller does at `at`, as it goes on record."""
    return Act(current_caller().subject, at, comment)
