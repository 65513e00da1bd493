"""Money that goes back: refunds, which can fail later, and disputes."""

from typing import Final

from throughline_simulators.stripe.account import Account
from throughline_simulators.stripe.errors import InvalidRequest
from throughline_simulators.stripe.objects import Charge, Dispute, Refund, new_id
from throughline_simulators.stripe.params import Params, merged

_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
_DISPUTE_FEE: Final = 1500
_EVIDENCE_DAYS: Final = 21


class Reversals:
    """Refunds by the API, and what banks do about refunds and charges."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def refund(self, params: Params) -> Refund:
        """Give a charge's money back, all that is left of it or the amount asked for.

        Raises:
            InvalidRequest: no such charge, not captured, or more than is left.
        """
        switches = self._account.switches
        charge = self._charge_of(params)
        amount = params.take_amount("amount", most=switches.amount_max)
        reason = params.take_choice("reason", _REASONS)
        metadata = params.take_metadata(
            keys_max=switches.metadata_keys_max, value_max=switches.metadata_value_max
        )
        params.finish()
        amount = _refundable(charge, amount)
        refund: Refund = {
            "id": new_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "created": self._account.now(),
            "currency": charge["currency"],
            "customer": charge["customer"],
            "customer_account": None,
            "destination_details": {"type": charge["payment_method_details"]["type"]},
            "metadata": merged({}, metadata),
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending" if switches.refunds_pending else "succeeded",
            "transfer_reversal": None,
        }
        transaction = self._account.enter_balance(
            amount=-amount,
            currency=charge["currency"],
            kind="refund",
            category="refund",
            source=refund["id"],
        )
        refund = {**refund, "balance_transaction": transaction["id"]}
        self._account.refunds.put(refund["id"], refund)
        self._account.tell("refund.created", refund)
        self._give_back(charge, amount)
        return refund

    def settle_refund(self, refund: Refund, *, succeeded: bool) -> Refund:
        """Let a pending refund arrive, or any refund fail; a failed one returns to the balance.

        Raises:
            InvalidRequest: it has failed already, or is not pending.
        """
        if refund["status"] == "failed" or (succeeded and refund["status"] != "pending"):
            raise InvalidRequest(f"refund is {refund['status']}")
        status = "succeeded" if succeeded else "failed"
        settled: Refund = {**refund, "status": status}
        self._account.refunds.put(refund["id"], settled)
        self._account.tell("refund.updated", settled, previous={"status": refund["status"]})
        if not succeeded:
            charge = self._account.charge(refund["charge"])
            left = charge["amount_refunded"] - refund["amount"]
            restored: Charge = {**charge, "amount_refunded": left, "refunded": False}
            self._account.charges.put(charge["id"], restored)
            self._account.enter_balance(
                amount=refund["amount"],
                currency=refund["currency"],
                kind="refund_failure",
                category="refund_failure",
                source=refund["id"],
            )
            self._account.tell(self._account.switches.refund_failed_event, settled)
        return settled

    def open_dispute(self, charge: Charge, *, amount: int | None, reason: str) -> Dispute:
        """Let the payer's bank take a charge back until the dispute is decided.

        Raises:
            InvalidRequest: already disputed, not paid, or more than was paid.
        """
        disputed = charge["amount_captured"] if amount is None else amount
        if charge["disputed"] or not charge["paid"] or disputed > charge["amount_captured"]:
            raise InvalidRequest("the charge cannot be disputed for that amount")
        created, account = self._account.now(), self._account
        dispute: Dispute = {
            "id": new_id("du"),
            "object": "dispute",
            "amount": disputed,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": created,
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": created + _EVIDENCE_DAYS * 86400,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "payment_method_details": charge["payment_method_details"],
            "reason": reason,
            "status": "needs_response",
        }
        dispute = self._move_funds(dispute, -disputed, fee=_DISPUTE_FEE)
        marked: Charge = {**charge, "disputed": True}
        account.charges.put(charge["id"], marked)
        account.disputes.put(dispute["id"], dispute)
        account.tell("charge.dispute.created", dispute)
        account.tell("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def close_dispute(self, dispute: Dispute, *, won: bool) -> Dispute:
        """Decide a dispute; a won one brings the money back, its fee stays.

        Raises:
            InvalidRequest: decided already.
        """
        if dispute["status"] in ("won", "lost"):
            raise InvalidRequest(f"dispute is {dispute['status']}")
        closed: Dispute = {**dispute, "status": "won" if won else "lost"}
        if won:
            closed = self._move_funds(closed, dispute["amount"])
        self._account.disputes.put(closed["id"], closed)
        self._account.tell("charge.dispute.closed", closed)
        if won:
            self._account.tell("charge.dispute.funds_reinstated", closed)
        return closed

    def _move_funds(self, dispute: Dispute, amount: int, *, fee: int = 0) -> Dispute:
        transaction = self._account.enter_balance(
            amount=amount,
            currency=dispute["currency"],
            kind="adjustment",
            category="dispute" if amount < 0 else "dispute_reversal",
            source=dispute["id"],
            fee=fee,
        )
        moved = [*dispute["balance_transactions"], transaction]
        return {**dispute, "balance_transactions": moved}

    def _give_back(self, charge: Charge, amount: int) -> None:
        refunded = charge["amount_refunded"] + amount
        changed: Charge = {
            **charge,
            "amount_refunded": refunded,
            "refunded": refunded == charge["amount_captured"],
        }
        self._account.charges.put(charge["id"], changed)
        before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
        self._account.tell("charge.refunded", changed, previous=before)

    def _charge_of(self, params: Params) -> Charge:
        charge_id, intent_id = params.take("charge"), params.take("payment_intent")
        if charge_id is not None:
            return self._account.charge(charge_id)
        if intent_id is None:
            raise InvalidRequest(
                "One of the following params should be provided for this request: payment_intent "
                "or charge.",
                code="parameter_missing",
            )
        latest = self._account.intent(intent_id)["latest_charge"]
        if latest is None:
            raise InvalidRequest(
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
                param="payment_intent",
            )
        return self._account.charge(latest)


def _refundable(charge: Charge, amount: int | None) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise InvalidRequest(f"Charge {charge['id']} has not been captured.", param="charge")
    if left == 0:
        raise InvalidRequest(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if amount is not None and amount > left:
        raise InvalidRequest(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            param="amount",
        )
    return left if amount is None else amount
