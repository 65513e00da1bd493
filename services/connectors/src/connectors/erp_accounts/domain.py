"""When a customer needs an account in an ERP, and what is known of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from connectors.domain import Link
from throughline_core.errors import AlreadyExists, FailedPrecondition

OBJECT_TYPE: Final = "customer"


class ErpAccountState(StrEnum):
    """What is known of an account."""

    NOT_REQUIRED = "not_required"
    EXISTS = "exists"
    MISSING = "missing"
    UNKNOWN = "unknown"


class NoErp(FailedPrecondition):
    """The legal entity has no ERP that was told of."""

    code = "erp_account.no_erp"


class AccountTaken(AlreadyExists):
    """The account belongs to another customer."""

    code = "erp_account.taken"


class AccountExists(AlreadyExists):
    """The customer has another account in this system."""

    code = "erp_account.exists"


class Key(NamedTuple):
    """Whose account, with whom."""

    customer_id: UUID
    legal_entity_id: UUID


@dataclass(frozen=True, slots=True)
class ErpPolicy:
    """Which system is a legal entity's ERP, and whether customers need an account there."""

    legal_entity_id: UUID
    version: int
    system: str
    account_required: bool


@dataclass(frozen=True, slots=True)
class ErpAccount:
    """What is known of a customer's account with a legal entity."""

    key: Key
    state: ErpAccountState
    system: str = ""
    account: str = ""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored about a key: the policy, the link, and whether the ERP is switched off.

    Only a connection of the system's own name can be switched off; an ERP without one is asked by
    people, and what they did not record is not there.
    """

    policy: ErpPolicy | None
    account: str | None = None
    recorded_at: datetime | None = None
    is_switched_off: bool = False


def judge(key: Key, facts: Facts) -> ErpAccount:
    """Return what is known of the account."""
    policy = facts.policy
    if policy is None:
        return ErpAccount(key, ErpAccountState.NOT_REQUIRED)
    if facts.account is not None:
        return ErpAccount(
            key, ErpAccountState.EXISTS, policy.system, facts.account, facts.recorded_at
        )
    if not policy.account_required:
        return ErpAccount(key, ErpAccountState.NOT_REQUIRED, policy.system)
    state = ErpAccountState.UNKNOWN if facts.is_switched_off else ErpAccountState.MISSING
    return ErpAccount(key, state, policy.system)


def following(known: ErpPolicy | None, wanted: ErpPolicy) -> ErpPolicy:
    """Return the wanted policy as the version after the known one."""
    return replace(wanted, version=known.version + 1 if known else 1)


def record(key: Key, account: str, facts: Facts, *, holder: UUID | None) -> Link:
    """Return the link that records an account; `holder` is whose account it is already, if any's.

    Raises:
        NoErp: the entity has none.
        AccountTaken: it is another customer's.
        AccountExists: the customer has another one there.
    """
    if facts.policy is None:
        raise NoErp(
            f"legal entity {key.legal_entity_id} has no ERP",
            field="legal_entity_id",
            advice="put its policy first: PUT /v1/erp-policies/{legal_entity_id}",
        )
    system = facts.policy.system
    if holder is not None and holder != key.customer_id:
        raise AccountTaken(
            f"account {account} of {system} is another customer's",
            field="account",
            advice="look it up at /v1/crosswalk-links",
        )
    if facts.account is not None and facts.account != account:
        raise AccountExists(
            f"the customer has account {facts.account} in {system}",
            field="account",
            advice="use that one",
        )
    return Link(system, OBJECT_TYPE, account, OBJECT_TYPE, key.customer_id)
