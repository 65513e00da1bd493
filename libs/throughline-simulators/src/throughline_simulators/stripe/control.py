"""Controls of the simulated account: what payers, banks and the vendor's delivery do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from throughline_simulators.clock import Clock
from throughline_simulators.exact_json import ExactJSONResponse
from throughline_simulators.gate import Calls, Gate
from throughline_simulators.store import Store
from throughline_simulators.stripe.account import Account
from throughline_simulators.stripe.api import RestApi
from throughline_simulators.stripe.errors import ApiError
from throughline_simulators.stripe.methods import BANK_TRANSFER, CARD, DECLINES, KINDS
from throughline_simulators.stripe.params import Params
from throughline_simulators.stripe.switches import StripeSwitches
from throughline_simulators.stripe.webhooks import Endpoint, Webhooks
from throughline_simulators.switchboard import SwitchBoard
from throughline_simulators.vendor import Vendor


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EndpointGiven(_Request):
    """Where to send events of which types, and the secrets to sign them with."""

    url: str = Field(pattern="^https?://")
    secrets: list[str] = Field(min_length=1)
    event_types: list[str] = ["*"]


class SecretRolled(_Request):
    """The new secret of the endpoint; the one before it goes on signing beside it."""

    secret: str


class Payment(_Request):
    """What a payer pays of an intent, in minor units; null is all that is due."""

    amount: int | None = Field(default=None, gt=0)
    kind: str = Field(default=CARD, pattern=f"^({'|'.join(KINDS)})$")


class Failure(_Request):
    """Why a payment fails."""

    decline: str = Field(default="generic_decline", pattern=f"^({'|'.join(DECLINES)})$")


class BankTransfer(_Request):
    """Money a customer sent by bank, in minor units."""

    amount: int = Field(gt=0)
    currency: str = Field(pattern="^[a-z]{3}$")
    customer: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}


class RefundOutcome(_Request):
    """Whether a refund arrives or fails."""

    succeeded: bool


class DisputeOpened(_Request):
    """What the payer's bank takes back; null is all of it."""

    amount: int | None = Field(default=None, gt=0)
    reason: str = "general"


class DisputeDecided(_Request):
    """How a dispute ends."""

    won: bool


class Redelivery(_Request):
    """Events to deliver again, all if none are named, each `times` over."""

    event_ids: list[str] = []
    types: list[str] = []
    times: int = Field(default=1, ge=1, le=1000)
    shuffled: bool = False


class Owed(BaseModel):
    """How many deliveries were added."""

    owed: int


def stripe(store: Store, clock: Clock) -> tuple[Vendor[StripeSwitches], Webhooks]:
    """Return the simulated account over `store`, and the webhooks whose task is to be run."""
    board = SwitchBoard(store, "stripe", StripeSwitches)
    calls = Calls()
    account = Account(store, board, clock)
    webhooks = Webhooks(account)
    api = RestApi(account)
    gate = Gate(
        api.application(),
        store=store,
        board=board,
        calls=calls,
        unavailable=api.unavailable,
        throttled=api.throttled,
    )
    router = APIRouter(prefix="/stripe", tags=["stripe"])
    _add_money_controls(router, api)
    _add_webhook_controls(router, account, webhooks)

    def forget() -> None:
        store.clear("stripe.")
        webhooks.attempts.clear()

    return Vendor("stripe", gate, board, calls, router, forget), webhooks


def _add_money_controls(router: APIRouter, api: RestApi) -> None:
    account, payments, reversals = api.account, api.payments, api.reversals

    @router.post("/payment-intents/{key}/pay")
    async def pay(key: str, payment: Payment) -> ExactJSONResponse:
        """Let the payer pay an intent, in part where its method knows part payments."""
        with _refusals():
            paid = payments.settle(account.intent(key), amount=payment.amount, kind=payment.kind)
            return ExactJSONResponse(paid)

    @router.post("/payment-intents/{key}/fail")
    async def fail(key: str, failure: Failure) -> ExactJSONResponse:
        """Let a payment fail, as a bank debit may after days."""
        with _refusals():
            return ExactJSONResponse(payments.fail(account.intent(key), DECLINES[failure.decline]))

    @router.post("/bank-transfers")
    async def receive_transfer(transfer: BankTransfer) -> ExactJSONResponse:
        """Book a customer's bank transfer: a succeeded intent of just that amount."""
        given: dict[str, str | None] = {
            "amount": str(transfer.amount),
            "currency": transfer.currency,
            "customer": transfer.customer,
            "description": transfer.description,
        }
        with _refusals():
            params = Params(
                {
                    **{name: value for name, value in given.items() if value is not None},
                    "metadata": {**transfer.metadata},
                    "payment_method_types": {"0": BANK_TRANSFER},
                }
            )
            return ExactJSONResponse(payments.receive_transfer(params))

    @router.post("/refunds/{key}/settle")
    async def settle_refund(key: str, outcome: RefundOutcome) -> ExactJSONResponse:
        """Let a refund arrive, or fail even after it had succeeded."""
        with _refusals():
            refund = account.refund(key)
            return ExactJSONResponse(reversals.settle_refund(refund, succeeded=outcome.succeeded))

    @router.post("/charges/{key}/dispute")
    async def dispute(key: str, opened: DisputeOpened) -> ExactJSONResponse:
        """Let the payer's bank dispute a charge."""
        with _refusals():
            charge = account.charge(key)
            return ExactJSONResponse(
                reversals.open_dispute(charge, amount=opened.amount, reason=opened.reason)
            )

    @router.post("/disputes/{key}/close")
    async def close_dispute(key: str, decided: DisputeDecided) -> ExactJSONResponse:
        """Decide a dispute."""
        disputed = account.disputes.get(key)
        if disputed is None:
            raise HTTPException(404, f"no dispute {key}")
        with _refusals():
            return ExactJSONResponse(reversals.close_dispute(disputed, won=decided.won))


def _add_webhook_controls(router: APIRouter, account: Account, webhooks: Webhooks) -> None:
    @router.put("/webhook-endpoint", status_code=204)
    async def set_endpoint(given: EndpointGiven) -> None:
        """Send events from now on to this address."""
        webhooks.endpoint = {
            "url": given.url, "secrets": given.secrets, "event_types": given.event_types,
        }  # fmt: skip

    @router.delete("/webhook-endpoint", status_code=204)
    async def remove_endpoint() -> None:
        """Send no more events; what is owed is dropped."""
        webhooks.endpoint = None

    @router.post("/webhook-endpoint/roll-secret", status_code=204)
    async def roll_secret(rolled: SecretRolled) -> None:
        """Sign with a new secret and, until the old ones are dropped, with the last one too."""
        endpoint = _endpoint(webhooks)
        webhooks.endpoint = {**endpoint, "secrets": [rolled.secret, endpoint["secrets"][0]]}

    @router.post("/webhook-endpoint/drop-old-secrets", status_code=204)
    async def drop_old_secrets() -> None:
        """Sign with the newest secret only."""
        endpoint = _endpoint(webhooks)
        webhooks.endpoint = {**endpoint, "secrets": endpoint["secrets"][:1]}

    @router.post("/deliver")
    async def deliver(redelivery: Redelivery) -> Owed:
        """Deliver events again, as the vendor does now and then: repeated, or out of order."""
        _endpoint(webhooks)
        known = {event["id"]: event for event in account.events.values()}
        for event_id in redelivery.event_ids:
            if event_id not in known:
                raise HTTPException(404, f"no event {event_id}")
        chosen = [
            event_id
            for event_id in redelivery.event_ids or known
            if not redelivery.types or known[event_id]["type"] in redelivery.types
        ]
        owed = [event_id for event_id in chosen for _ in range(redelivery.times)]
        if redelivery.shuffled:
            account.board.random.shuffle(owed)
        webhooks.owe(owed)
        return Owed(owed=len(owed))

    @router.get("/deliveries")
    async def show_deliveries() -> Mapping[str, object]:
        """Show how many deliveries are owed and how the last attempts went."""
        return {"owed": webhooks.owed_count, "attempts": list(webhooks.attempts)}


def _endpoint(webhooks: Webhooks) -> Endpoint:
    if webhooks.endpoint is None:
        raise HTTPException(409, "no webhook endpoint is set")
    return webhooks.endpoint


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise HTTPException(error.status, error.message) from error
