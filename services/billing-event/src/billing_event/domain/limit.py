"""Limits: what a batch may still take of them, row by row, and where a row splits."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.position import (
    QUANTITY_PLACES,
    BillingEventId,
    EventKind,
    Portion,
    Rating,
    Row,
    Treatment,
    Unit,
    cut,
    one_at,
)
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    CustomerId,
    ItemType,
    LegalEntityId,
    SourceItem,
)
from throughline_core.ids import derived_id
from throughline_core.money import Money, exponent

LimitAccountId = NewType("LimitAccountId", UUID)

_NOTHING: Final = Decimal(0)


class LimitScope(StrEnum):
    """Over what a limit counts."""

    CONTRACT = "contract"
    CONTRACT_LINE = "contract_line"
    PURCHASE_ORDER = "purchase_order"
    PAYER = "payer"
    CUSTOMER = "customer"
    CATEGORY = "category"


_WAYS_OUT: Final[Mapping[LimitScope, WayOut]] = {
    LimitScope.PURCHASE_ORDER: WayOut(
        "sales_operations", "have the customer raise the purchase order, and change the contract"
    ),
    LimitScope.PAYER: WayOut(
        "sales_operations", "agree a higher amount with this payer, and change the contract"
    ),
    LimitScope.CUSTOMER: WayOut(
        "sales_operations",
        "agree a higher limit with the customer; one person proposes it, another approves it",
    ),
    LimitScope.CATEGORY: WayOut(
        "sales_operations",
        "agree a higher daily cap of the category by a change order, or write the rest off",
    ),
}


@dataclass(slots=True)
class Account:
    """What is left of a limit while its row is locked; `room` None means it stops nothing.

    `name` says in words which limit it is, `agreed` what was agreed. A limit lowered below what had
    been taken leaves that where it was: `excess` is how much of the room is beyond what is agreed.
    """

    limit_account_id: LimitAccountId
    scope: LimitScope
    room: Decimal | None
    name: str = ""
    agreed: Money | None = None
    excess: Decimal = _NOTHING


class EntryKind(StrEnum):
    """What an entry of a limit's account does.

    reserve: rated, or taken back where negative. commit: invoiced. release: credited, so that it is
    reserved again. write_off: given up, so that it is reserved no longer.
    """

    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one row takes of one limit; a negative one, or one written off, gives back.

    `cause_id` tells the entries of one row apart: a row that goes on a second time takes anew.
    `is_owed` says that it takes even where no room is left: what had made room is taken back.
    """

    limit_account_id: LimitAccountId
    billing_event_id: BillingEventId
    amount: Decimal
    kind: EntryKind
    cause_id: UUID
    is_owed: bool = False

    @property
    def change(self) -> Decimal:
        """How much more is reserved by it."""
        return -self.amount if self.kind is EntryKind.WRITE_OFF else self.amount


def account_id(contract_id: ContractId, contract_line_id: ContractLineId | None) -> LimitAccountId:
    """Return the id of the limit of a contract, or of one of its lines."""
    return LimitAccountId(derived_id("limit_account", contract_id, contract_line_id or ""))


def order_account_id(contract_id: ContractId, purchase_order_number: str) -> LimitAccountId:
    """Return the id of the limit of one of a contract's purchase orders."""
    return LimitAccountId(
        derived_id("limit_account", contract_id, "purchase_order", purchase_order_number)
    )


def payer_account_id(contract_id: ContractId, customer_id: CustomerId) -> LimitAccountId:
    """Return the id of the limit of what one payer of a contract pays."""
    return LimitAccountId(derived_id("limit_account", contract_id, "payer", customer_id))


def customer_account_id(
    legal_entity_id: LegalEntityId, customer_id: CustomerId, currency: str
) -> LimitAccountId:
    """Return the id of the limit of what a customer pays an entity, over all its contracts."""
    return LimitAccountId(
        derived_id("limit_account", legal_entity_id, "customer", customer_id, currency)
    )


def category_account_id(
    contract_line_id: ContractLineId, category: str, person_id: UUID, day: date
) -> LimitAccountId:
    """Return the id of the cap on what one person's expenses of a category bill for one day."""
    return LimitAccountId(
        derived_id("limit_account", contract_line_id, "category", category, person_id, day)
    )


def category_account_of(item: SourceItem) -> LimitAccountId | None:
    """Return the id of the daily cap an expense may fall under, None where it can be under none."""
    if item.type is not ItemType.EXPENSE or not item.category:
        return None
    if item.contract_line_id is None or item.person_id is None:
        return None
    return category_account_id(
        item.contract_line_id, item.category, item.person_id, item.service_from
    )


class LimitBook:
    """The limits a batch meets, all locked; each row takes from all that concern it.

    These are its contract's, its line's, its purchase order's, its payer's and its customer's, and
    for an expense the daily cap of its category. A draw on a retainer takes from none: the block it
    draws on did; the `retainers` it may draw on are locked with the limits. `given_back` are
    contracts, `given_back_by` customers, whose limits got room, perhaps after other work was
    stopped by them.
    """

    def __init__(
        self, accounts: Iterable[Account] = (), retainers: RetainerBook | None = None
    ) -> None:
        self.retainers = retainers or RetainerBook()
        self.reservations: list[Reservation] = []
        self.given_back: set[ContractId] = set()
        self.given_back_by: set[CustomerId] = set()
        self._by_id = {account.limit_account_id: account for account in accounts}
        self._accounts: dict[tuple[object, ...], tuple[Account, ...]] = {}

    @property
    def changes(self) -> dict[LimitAccountId, Decimal]:
        """How much more is reserved of each limit by what the batch took."""
        found: dict[LimitAccountId, Decimal] = {}
        for each in self.reservations:
            account_id = each.limit_account_id
            found[account_id] = found.get(account_id, _NOTHING) + each.change
        return found

    def room(self, rating: Rating, item: SourceItem | None = None) -> Decimal | None:
        """Return what may still be taken at the rating's terms; None means any amount."""
        tightest = _tightest(self._of(rating, item))
        return None if tightest is None else tightest.room

    def agreed_room(self, limit_account_id: LimitAccountId) -> Decimal | None:
        """Return what is left of what is agreed, below nought where more was taken before.

        None means any amount, or that there is no such limit.
        """
        account = self._by_id.get(limit_account_id)
        if account is None or account.room is None:
            return None
        return account.room - account.excess

    def fit(
        self, item: SourceItem, rating: Rating, whole: Portion
    ) -> tuple[Portion | None, OpenHold | None]:
        """Return what of a portion fits, None if nothing, and what holds the rest, if any."""
        tightest = _tightest(self._of(rating, item))
        if tightest is None:
            return whole, None
        fits = fitting(rating, whole, tightest.room)
        if fits == whole:
            return whole, None
        return fits, _over(tightest, _NOTHING if fits is None else fits.amount.amount)

    def has_payers(self) -> bool:
        """Whether what a payer pays is limited by itself: then prices depend on what is left."""
        return any(account.scope is LimitScope.PAYER for account in self._by_id.values())

    @contextmanager
    def without(self, rows: Iterable[Row]) -> Iterator[None]:
        """Give back for a while what these rows took, to see what there would be without them."""
        taken = [
            (account, row.amount.amount)
            for row in rows
            for account in self._of(row.rating, row.item)
            if account.room is not None
        ]
        _move(taken, 1)
        try:
            yield
        finally:
            _move(taken, -1)

    def take(self, row: Row) -> None:
        """Reserve the amount of a row, which fits or gives back."""
        self._take(row, self._of(row.rating, row.item))

    def give_back(self, mirrored: Row, row: Row) -> None:
        """Note that `mirrored` takes `row` back, at the limits that one took from."""
        self._take(mirrored, self._of(row.rating, row.item), is_owed=True)

    def write_off(self, row: Row) -> None:
        """Note that a row that reserved is given up; undone, it has to `take` again."""
        accounts = self._of(row.rating, row.item)
        self._take(row, accounts, kind=EntryKind.WRITE_OFF, is_owed=True)

    def _take(
        self,
        row: Row,
        accounts: tuple[Account, ...],
        *,
        kind: EntryKind = EntryKind.RESERVE,
        is_owed: bool = False,
    ) -> None:
        if not accounts:
            return
        cause_id = row.billing_event_id if row.version == 1 else _cause_id(row)
        amount = row.amount.amount
        taken = -amount if kind is EntryKind.WRITE_OFF else amount
        if taken < 0 and (kind is EntryKind.WRITE_OFF or row.kind is not EventKind.ADJUSTMENT):
            self.given_back.add(row.rating.contract_id)
            if any(account.scope is LimitScope.CUSTOMER for account in accounts):
                self.given_back_by.add(row.rating.bill_to_customer_id)
        for account in accounts:
            if account.room is not None:
                account.room -= taken
            self.reservations.append(
                Reservation(
                    account.limit_account_id,
                    row.billing_event_id,
                    amount,
                    kind,
                    cause_id,
                    is_owed=is_owed and taken > 0,
                )
            )

    def _of(self, rating: Rating, item: SourceItem | None) -> tuple[Account, ...]:
        if not self._by_id or rating.treatment is Treatment.DRAWN:
            return ()
        found = self._of_terms(rating)
        narrowed = None if item is None else category_account_of(item)
        cap = None if narrowed is None else self._by_id.get(narrowed)
        return found if cap is None else (*found, cap)

    def _of_terms(self, rating: Rating) -> tuple[Account, ...]:
        contract_id, line_id = rating.contract_id, rating.contract_line_id
        payer, currency = rating.bill_to_customer_id, rating.unit_rate.currency
        number = rating.purchase_order_number
        key = contract_id, line_id, number, payer, rating.legal_entity_id, currency
        found = self._accounts.get(key)
        if found is None:
            ids = (
                account_id(contract_id, None),
                account_id(contract_id, line_id),
                order_account_id(contract_id, number),
                payer_account_id(contract_id, payer),
                customer_account_id(rating.legal_entity_id, payer, currency),
            )
            found = tuple(self._by_id[each] for each in ids if each in self._by_id)
            self._accounts[key] = found
        return found


def fitting(rating: Rating, whole: Portion, room: Decimal | None) -> Portion | None:
    """Return what of a portion fits into `room` at the rating's price, None if nothing does.

    All of it, or of hours what fits cut to the decimals they are printed with, so that the part
    billed is still printed quantity times printed rate, and of an agreed amount whole cents. What
    gives back always fits.
    """
    if room is None or whole.amount.amount <= max(room, _NOTHING):
        return whole
    if rating.unit is not Unit.HOUR:
        part = one_at(fitting_amount(whole.amount, room))
        return None if part.amount.is_zero else part
    if room <= 0:
        return None
    unit = Decimal(1).scaleb(-QUANTITY_PLACES[rating.unit])
    quantity = (room / rating.unit_rate.amount).quantize(unit, rounding=ROUND_DOWN)
    return cut(rating, whole, quantity)[0] if quantity else None


def fitting_amount(whole: Money, room: Decimal) -> Money:
    """Return what of an amount fits into `room`, in the smallest unit of its currency."""
    if whole.amount <= max(room, _NOTHING):
        return whole
    unit = Decimal(1).scaleb(-exponent(whole.currency))
    return Money(max(room, _NOTHING).quantize(unit, rounding=ROUND_DOWN), whole.currency)


def _move(taken: Iterable[tuple[Account, Decimal]], sign: int) -> None:
    for account, amount in taken:
        assert account.room is not None, "only what stops something is moved"
        account.room += sign * amount


def _cause_id(row: Row) -> UUID:
    return derived_id("limit_entry", row.billing_event_id, row.version)


def _tightest(accounts: Iterable[Account]) -> Account | None:
    """Return the account with the least room, None where none stops anything."""
    tightest, least = None, None
    for account in accounts:
        if account.room is not None and (least is None or account.room < least):
            tightest, least = account, account.room
    return tightest


def _over(account: Account, taken: Decimal) -> OpenHold:
    """Return why the rest is held, once `taken` is gone from the account as well."""
    agreed, left = account.agreed, max((account.room or _NOTHING) - taken, _NOTHING)
    detail = f"over the limit of {account.name or account.scope}"
    if agreed is not None:
        detail = f"{detail}: {agreed} agreed, {Money(left, agreed.currency).rounded()} left"
    return OpenHold(HoldReason.LIMIT_EXCEEDED, detail, way_out=_WAYS_OUT.get(account.scope))
