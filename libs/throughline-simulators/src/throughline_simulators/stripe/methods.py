"""Payment methods of the sandbox: which kind each is, and how paying with it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict

from throughline_simulators.store import Collection, Store
from throughline_simulators.stripe.errors import InvalidRequest
from throughline_simulators.stripe.objects import new_id

CARD: Final = "card"
BANK_TRANSFER: Final = "customer_balance"
BANK_DEBITS: Final = frozenset({"sepa_debit", "us_bank_account", "bacs_debit", "au_becs_debit"})
KINDS: Final = (CARD, BANK_TRANSFER, *sorted(BANK_DEBITS))


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a payment fails: `code` and, for cards, the issuer's `decline_code`."""

    code: str
    message: str
    decline_code: str | None = None

    def error(self, *, charge_id: str) -> dict[str, object]:
        error: dict[str, object] = {
            "charge": charge_id,
            "code": self.code,
            "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            "message": self.message,
            "type": "card_error",
        }
        if self.decline_code is not None:
            error["decline_code"] = self.decline_code
        return error


@dataclass(frozen=True, slots=True)
class Method:
    """One payment method; a decline or a wish for authentication comes at confirmation."""

    id: str
    kind: str
    decline: Decline | None = None
    asks_authentication: bool = False


GENERIC_DECLINE: Final = Decline("card_declined", "Your card was declined.", "generic_decline")
INSUFFICIENT_FUNDS: Final = Decline(
    "card_declined", "Your card has insufficient funds.", "insufficient_funds"
)
DECLINES: Final[Mapping[str, Decline]] = {
    "generic_decline": GENERIC_DECLINE,
    "insufficient_funds": INSUFFICIENT_FUNDS,
    "expired_card": Decline("expired_card", "Your card has expired.", "expired_card"),
    "debit_not_authorized": Decline(
        "debit_not_authorized", "The customer told their bank that it was unauthorized."
    ),
}  # fmt: skip
_SANDBOX: Final[Mapping[str, Method]] = {
    method.id: method
    for method in (
        Method("pm_card_visa", CARD),
        Method("pm_card_mastercard", CARD),
        Method("pm_card_chargeDeclined", CARD, GENERIC_DECLINE),
        Method("pm_card_visa_chargeDeclined", CARD, GENERIC_DECLINE),
        Method("pm_card_chargeDeclinedInsufficientFunds", CARD, INSUFFICIENT_FUNDS),
        Method("pm_card_visa_chargeDeclinedInsufficientFunds", CARD, INSUFFICIENT_FUNDS),
        Method("pm_card_chargeDeclinedExpiredCard", CARD, DECLINES["expired_card"]),
        Method("pm_card_authenticationRequired", CARD, asks_authentication=True),
        Method("pm_usBankAccount", "us_bank_account"),
    )
}


class _Attached(TypedDict):
    kind: str


class Methods:
    """The methods known to the account: the sandbox's own and those made from given data."""

    def __init__(self, store: Store) -> None:
        self._made: Collection[_Attached] = Collection(store, "stripe.payment_method")

    def find(self, method_id: str) -> Method:
        """Return a method by id.

        Raises:
            InvalidRequest: no such method.
        """
        made = self._made.get(method_id)
        method = _SANDBOX.get(method_id) if made is None else Method(method_id, made["kind"])
        if method is None:
            raise InvalidRequest(
                f"No such PaymentMethod: '{method_id}'",
                code="resource_missing",
                param="payment_method",
            )
        return method

    def make(self, kind: str) -> Method:
        """Return a new method of a kind that always pays.

        Raises:
            InvalidRequest: a kind that is not simulated.
        """
        if kind not in KINDS:
            raise InvalidRequest(
                f"Invalid payment_method_data[type]: must be one of {', '.join(KINDS)}",
                param="payment_method_data[type]",
            )
        method = Method(new_id("pm"), kind)
        self._made.put(method.id, {"kind": kind})
        return method
