"""Not-to-exceed limits: what a batch may still take of them, row by row, and where a row splits."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.position import (
    QUANTITY_PLACES,
    BillingEventId,
    EventKind,
    Portion,
    Rating,
    Row,
)
from billing_event.domain.source import ContractId, ContractLineId, LegalEntityId
from billing_event.domain.terms import ContractTerms
from throughline_core.ids import derived_id
from throughline_core.money import Money

LimitAccountId = NewType("LimitAccountId", UUID)

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as the terms set it: over the contract, one of its lines, or a purchase order."""

    limit_account_id: LimitAccountId
    contract_id: ContractId
    contract_line_id: ContractLineId | None
    purchase_order_number: str | None
    legal_entity_id: LegalEntityId
    contract_version: int
    agreed: Money


@dataclass(slots=True)
class Account:
    """What is left of a limit while its row is locked; `room` None means it stops nothing."""

    limit_account_id: LimitAccountId
    contract_id: ContractId
    contract_line_id: ContractLineId | None
    room: Decimal | None
    purchase_order_number: str | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one row takes of one limit, negative where it gives back."""

    limit_account_id: LimitAccountId
    billing_event_id: BillingEventId
    amount: Decimal


def limits_of(terms: ContractTerms) -> list[Limit]:
    """Return the limits the terms set: the contract's own, its lines', its purchase orders'."""
    scopes: list[tuple[ContractLineId | None, str | None, Money | None]] = [
        (None, None, terms.not_to_exceed)
    ]
    scopes += [(line.contract_line_id, None, line.not_to_exceed) for line in terms.lines.values()]
    scopes += [(None, order.number, order.amount) for order in terms.purchase_orders]
    return [
        Limit(
            order_account_id(terms.contract_id, number)
            if number is not None
            else account_id(terms.contract_id, line_id),
            terms.contract_id,
            line_id,
            number,
            terms.legal_entity_id,
            terms.contract_version,
            agreed,
        )
        for line_id, number, agreed in scopes
        if agreed is not None
    ]


def account_id(contract_id: ContractId, contract_line_id: ContractLineId | None) -> LimitAccountId:
    """Return the id of the limit of a contract, or of one of its lines."""
    return LimitAccountId(derived_id("limit_account", contract_id, contract_line_id or ""))


def order_account_id(contract_id: ContractId, purchase_order_number: str) -> LimitAccountId:
    """Return the id of the limit of one of a contract's purchase orders."""
    return LimitAccountId(
        derived_id("limit_account", contract_id, "purchase_order", purchase_order_number)
    )


class LimitBook:
    """The limits a batch meets, all locked; each row takes from all that concern it: its line's,
    its purchase order's and its contract's.

    `given_back` are contracts whose limits got room, perhaps after other work was stopped by them.
    """

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self.reservations: list[Reservation] = []
        self.given_back: set[ContractId] = set()
        self._by_scope = {
            (account.contract_id, account.contract_line_id, account.purchase_order_number): account
            for account in accounts
        }
        self._accounts: dict[tuple[UUID, UUID, str], tuple[Account, ...]] = {}

    def limits(self, rating: Rating) -> bool:
        """Whether any limit concerns the rating's line."""
        return bool(self._of(rating))

    def room(self, rating: Rating) -> Decimal | None:
        """Return what may still be taken for the rating's line; None means any amount."""
        rooms = [account.room for account in self._of(rating) if account.room is not None]
        return min(rooms, default=None)

    def take(self, row: Row) -> None:
        """Reserve the amount of a row, which fits or gives back."""
        amount = row.amount.amount
        accounts = self._of(row.rating)
        if accounts and amount < 0 and row.kind is not EventKind.ADJUSTMENT:
            self.given_back.add(row.rating.contract_id)
        for account in accounts:
            if account.room is not None:
                account.room -= amount
            self.reservations.append(
                Reservation(account.limit_account_id, row.billing_event_id, amount)
            )

    def _of(self, rating: Rating) -> tuple[Account, ...]:
        key = rating.contract_id, rating.contract_line_id, rating.purchase_order_number
        found = self._accounts.get(key)
        if found is None:
            contract_id, line_id, number = key
            scopes = (
                (contract_id, None, None),
                (contract_id, line_id, None),
                (contract_id, None, number),
            )
            found = tuple(self._by_scope[scope] for scope in scopes if scope in self._by_scope)
            self._accounts[key] = found
        return found


def fitting_quantity(rating: Rating, portion: Portion, room: Decimal | None) -> Decimal:
    """Return how much of a portion fits into `room` at the rating's price.

    All of it, or what fits cut to the decimals the unit is printed with, so that the part billed
    is still printed quantity times printed rate. What gives back always fits.
    """
    if room is None or portion.amount.amount <= max(room, _NOTHING):
        return portion.quantity
    if room <= 0:
        return _NOTHING
    unit = Decimal(1).scaleb(-QUANTITY_PLACES[rating.unit])
    return (room / rating.unit_rate.amount).quantize(unit, rounding=ROUND_DOWN)
