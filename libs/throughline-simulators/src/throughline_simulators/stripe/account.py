"""The account: its documents, its balance, and the events that tell of each change."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypedDict

from throughline_simulators.clock import Clock
from throughline_simulators.store import Collection, Store
from throughline_simulators.stripe.errors import missing
from throughline_simulators.stripe.objects import (
    BalanceTransaction,
    Cause,
    Charge,
    Dispute,
    Event,
    PaymentIntent,
    Refund,
    converted,
    new_id,
)
from throughline_simulators.stripe.switches import StripeSwitches
from throughline_simulators.switchboard import SwitchBoard


class Deferred(TypedDict):
    """A balance transaction that its charge does not show yet."""

    balance_transaction: str
    reads_left: int


UNCAUSED: Final[Cause] = {"id": None, "idempotency_key": None}
cause: ContextVar[Cause] = ContextVar("cause", default=UNCAUSED)


class Account:
    """Everything one account holds, by kind; each document is replaced, never edited."""

    def __init__(self, store: Store, board: SwitchBoard[StripeSwitches], clock: Clock) -> None:
        self.store = store
        self.board = board
        self.clock = clock
        self.intents: Collection[PaymentIntent] = Collection(store, "stripe.payment_intent")
        self.charges: Collection[Charge] = Collection(store, "stripe.charge")
        self.refunds: Collection[Refund] = Collection(store, "stripe.refund")
        self.disputes: Collection[Dispute] = Collection(store, "stripe.dispute")
        self.balance: Collection[BalanceTransaction] = Collection(
            store, "stripe.balance_transaction"
        )
        self.events: Collection[Event] = Collection(store, "stripe.event")
        self._deferred: Collection[Deferred] = Collection(store, "stripe.deferred")
        self.on_event: Callable[[Event], None] = lambda _event: None

    @property
    def switches(self) -> StripeSwitches:
        return self.board.now

    def now(self) -> int:
        return int(self.clock.now().timestamp())

    # Events

    def tell(
        self, type: str, document: object, *, previous: Mapping[str, object] | None = None
    ) -> Event:
        """Record that something happened to `document`, which is kept as it is now."""
        data: dict[str, object] = {"object": document}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": self.switches.api_version,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": cause.get(),
            "type": type,
        }
        self.events.put(event["id"], event)
        self.on_event(event)
        return event

    def listed_events(self) -> list[Event]:
        """Return the events still within retention, oldest first."""
        oldest = self.now() - self.switches.event_retention_days * 86400
        return [event for event in self.events.values() if event["created"] >= oldest]

    # Balance

    def enter_balance(
        self,
        *,
        amount: int,
        currency: str,
        kind: str,
        category: str,
        source: str,
        fee: int = 0,
        description: str | None = None,
    ) -> BalanceTransaction:
        """Move the balance by a signed amount, in the settlement currency where one is set."""
        settled = self.switches.settlement_currency or currency
        rate = None if settled == currency else self.switches.exchange_rate
        if rate is not None:
            amount = converted(amount, rate, source=currency, target=settled)
            fee = converted(fee, rate, source=currency, target=settled)
        created = self.now()
        details = {"amount": fee, "currency": settled, "type": "stripe_fee", "application": None}
        transaction: BalanceTransaction = {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": created + self.switches.available_after_days * 86400,
            "balance_type": "payments",
            "created": created,
            "currency": settled,
            "description": description,
            "exchange_rate": rate,
            "fee": fee,
            "fee_details": [{**details, "description": "Stripe processing fees"}] if fee else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source,
            "status": "pending",
            "type": kind,
        }
        self.balance.put(transaction["id"], transaction)
        return transaction

    def fee(self, amount: int) -> int:
        """Return the fee on a gross amount, half up, never more than the amount."""
        percent = self.switches.fee_percent * amount / 100
        share = int(percent.quantize(Decimal(1), rounding=ROUND_HALF_UP))
        return min(amount, share + self.switches.fee_fixed)

    def shown_transaction(self, transaction: BalanceTransaction) -> BalanceTransaction:
        """Return a balance transaction with the status it has by now."""
        available = transaction["available_on"] <= self.now()
        return {**transaction, "status": "available" if available else "pending"}

    def defer_transaction(self, charge: Charge, transaction: BalanceTransaction) -> Charge:
        """Let a charge show its balance transaction at once, or after some reads."""
        reads = self.switches.balance_transaction_reads
        if not reads:
            return {**charge, "balance_transaction": transaction["id"]}
        self._deferred.put(
            charge["id"], {"balance_transaction": transaction["id"], "reads_left": reads}
        )
        return charge

    def read_charge(self, charge_id: str) -> Charge:
        """Return a charge as a caller sees it; the last of the counted reads settles it.

        Raises:
            InvalidRequest: no such charge.
        """
        charge = self.charge(charge_id)
        deferred = self._deferred.get(charge_id)
        if deferred is None:
            return charge
        if deferred["reads_left"] > 1:
            self._deferred.put(charge_id, {**deferred, "reads_left": deferred["reads_left"] - 1})
            return charge
        self._deferred.remove(charge_id)
        settled: Charge = {**charge, "balance_transaction": deferred["balance_transaction"]}
        self.charges.put(charge_id, settled)
        self.tell("charge.updated", settled, previous={"balance_transaction": None})
        return charge

    # Documents by id

    def intent(self, key: str) -> PaymentIntent:
        """Raises InvalidRequest: no such payment intent."""
        found = self.intents.get(key)
        if found is None:
            raise missing("payment_intent", key)
        return found

    def charge(self, key: str) -> Charge:
        """Raises InvalidRequest: no such charge."""
        found = self.charges.get(key)
        if found is None:
            raise missing("charge", key)
        return found

    def refund(self, key: str) -> Refund:
        """Raises InvalidRequest: no such refund."""
        found = self.refunds.get(key)
        if found is None:
            raise missing("refund", key)
        return found

    def transaction(self, key: str) -> BalanceTransaction:
        """Raises InvalidRequest: no such balance transaction."""
        found = self.balance.get(key)
        if found is None:
            raise missing("balance_transaction", key)
        return self.shown_transaction(found)
