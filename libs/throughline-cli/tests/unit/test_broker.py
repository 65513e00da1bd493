"""The configuration that the broker is given."""

import json
from pathlib import Path

from throughline_cli.stack.broker import Account, Broker, administrator, service_user
from throughline_runtime.streams import Durable

DURABLE = Durable("BILLING_EVENT", "invoice-payment-read", "billing_event.batch.released.v1")


def test_the_configuration_binds_to_loopback_and_syncs_every_message(tmp_path: Path) -> None:
    Broker(tmp_path, 4222, 8222, (Account("firm", (administrator("hush"),)),)).initialise()

    written = json.loads((tmp_path / "nats-server.json").read_text())

    assert (written["listen"], written["http"]) == ("127.0.0.1:4222", "127.0.0.1:8222")
    assert written["jetstream"]["sync_interval"] == "always"
    assert written["jetstream"]["store_dir"].startswith(str(tmp_path))


def test_a_service_is_granted_its_subject_its_durables_and_its_inbox() -> None:
    user = service_user("invoice-payment", "hush", durables=[DURABLE])

    assert user.publish == (
        "invoice_payment.>",
        "$JS.API.STREAM.INFO.INVOICE_PAYMENT",
        "$JS.API.CONSUMER.MSG.NEXT.BILLING_EVENT.invoice-payment-read",
        "$JS.API.CONSUMER.INFO.BILLING_EVENT.invoice-payment-read",
        "$JS.ACK.BILLING_EVENT.invoice-payment-read.>",
    )
    assert user.subscribe == ("_INBOX_invoice-payment.>",)
