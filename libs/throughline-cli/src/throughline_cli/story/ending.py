"""Month end: release, invoices, documents, payments, and the comparison of all books."""

import time
from functools import partial
from typing import Final

from throughline_cli.api import Document
from throughline_cli.story.opening import SIGNING_SECRET
from throughline_cli.story.path import one_path
from throughline_cli.story.scene import Scene, key

_CUT_OFF: Final = "2026-09-30"
_PART_CENTS: Final = 2_000_000


class Ending(Scene):
    """From the first release to the last comparison."""

    def release(self) -> None:
        self.at("2026-10-01T07:00:00Z")
        self.until("all work is rated", self.is_settled)
        self.cast.finance.post(
            "/v1/recurring-periods:generate", {"through_date": _CUT_OFF}, key=key("recurring")
        )
        eligible = list(
            self.cast.finance.pages("/v1/billing-events", "billing_events", status="eligible")
        )
        if eligible:
            ids = sorted(event["billing_event_id"] for event in eligible)
            self.cast.finance.post(
                "/v1/billing-events:release", {"billing_event_ids": ids}, key=key("release", *ids)
            )
        self.until("all released work can be invoiced", self.is_settled)

    def invoice(self) -> None:
        for code, entity_id in self.told.entities.items():
            self.told.previews[code] = self.cast.finance.post(
                "/v1/invoice-runs:preview", {"legal_entity_id": entity_id, "cut_off": _CUT_OFF}
            )
            run = self.cast.finance.post(
                "/v1/invoice-runs",
                {"legal_entity_id": entity_id, "cut_off": _CUT_OFF, "run_key": "regular"},
                key=key("run", code),
            )["run"]
            self._run_reaches(run["run_id"], "drafted")
            path = f"/v1/invoice-runs/{run['run_id']}"
            # Whoever starts a run does not approve it.
            self.cast.controller.post(f"{path}:approve", {}, key=key("approve run", code))
            self._run_reaches(run["run_id"], "approved")
            self.cast.controller.post(f"{path}:issue", {}, key=key("issue run", code))
            self._run_reaches(run["run_id"], "issued")
            [invoice] = self.cast.finance.pages("/v1/invoices", "invoices", run_id=run["run_id"])
            self.told.invoices[code] = invoice

    def _run_reaches(self, run_id: str, status: str) -> None:
        order = ("drafting", "drafted", "approving", "approved", "issuing", "issued")

        def reached() -> bool:
            run = self.cast.finance.get(f"/v1/invoice-runs/{run_id}")["run"]
            return order.index(run["status"]) >= order.index(status)

        self.until(f"the run is {status}", reached)

    def download(self) -> None:
        self.layout.documents.mkdir(exist_ok=True)
        for code, invoice in self.told.invoices.items():
            made = self.until(
                f"the document of {invoice['number']} is made",
                partial(self._made, invoice["invoice_id"]),
            )
            self.told.invoices[code] = made
            path = self.layout.documents / f"{made['number']}.pdf"
            path.write_bytes(
                self.cast.finance.download(f"/v1/invoices/{made['invoice_id']}/document")
            )
            self.told.documents.append(path)
            if self.told.first_document_seconds is None:
                self.told.first_document_seconds = time.monotonic() - self.told.started_at

    def _made(self, invoice_id: str) -> Document | None:
        invoice: Document = self.cast.finance.get(f"/v1/invoices/{invoice_id}")["invoice"]
        return invoice if invoice["document_step"] == "done" else None

    def pay(self) -> None:
        self.at("2026-10-12T09:00:00Z")
        stripe = self.vendors.stripe
        stripe.set_webhook_endpoint(
            f"{self.state.gateway_url}/v1/webhooks/stripe",
            [SIGNING_SECRET],
            event_types=("payment_intent.succeeded",),
        )
        full, part = self.told.invoices["DE01"], self.told.invoices["US01"]
        if full["status"] == "issued":
            self._transfer(full, _minor(full["gross_total"]["amount"]))
            [*_, told] = stripe.wait_until_delivered()
            stripe.deliver([told["event_id"]], times=4)
            stripe.wait_until_delivered()
        if part["status"] == "issued":
            self._transfer(part, _PART_CENTS)
            stripe.wait_until_delivered()
        for code in self.told.invoices:
            invoice_id = self.told.invoices[code]["invoice_id"]
            self.told.invoices[code] = self.until(
                "the payment is allocated", partial(self._touched, invoice_id)
            )
        hooks = self.cast.integration.pages("/v1/webhooks", "webhooks", provider="stripe")
        self.told.callbacks = max(hook["deliveries"] for hook in hooks)

    def _transfer(self, invoice: Document, amount: int) -> None:
        self.vendors.stripe.receive_bank_transfer(
            amount=amount,
            currency=invoice["currency"].lower(),
            metadata={"invoice_number": invoice["number"]},
        )

    def _touched(self, invoice_id: str) -> Document | None:
        invoice: Document = self.cast.finance.get(f"/v1/invoices/{invoice_id}")["invoice"]
        return invoice if invoice["status"] in {"paid", "partially_paid"} else None

    def reconcile(self) -> None:
        self.until("everything published is taken", self.is_settled)
        self.told.reconciliation = self.cast.auditor.get("/v1/reconciliation")
        invoice = self.told.invoices["DE01"]
        chain = self.cast.auditor.get(f"/v1/lineage/invoice/{invoice['number']}", limit=2000)
        hour = next(node for node in chain["nodes"] if node["kind"] == "time_entry")
        self.told.cent = one_path(
            self.cast.auditor.get(f"/v1/lineage/time_entry/{hour['object_id']}", limit=2000)
        )


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))
