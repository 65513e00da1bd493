import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from throughline_simulators import ControlClient
from throughline_simulators.testing import OrgUser, Simulators, WebhookReceiver


@contextmanager
def a_process(**environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the module as its users do; give the process and the address it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "throughline_simulators"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        announced = re.search(r"http://\S+", process.stdout.readline())
        assert announced is not None
        yield process, announced[0]
    finally:
        process.kill()
        process.communicate()


def test_the_process_tells_the_port_it_chose_and_stops_when_asked() -> None:
    with a_process() as (process, url), ControlClient(url) as control:
        assert url.startswith("http://127.0.0.1:")
        while not control.is_ready():
            assert process.poll() is None

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=10) in (0, -signal.SIGTERM)


def test_what_a_client_has_seen_survives_a_kill(tmp_path: Path) -> None:
    data = str(tmp_path / "vendors.db")
    with (
        a_process(THROUGHLINE_SIMULATORS_DATA=data) as (process, url),
        ControlClient(url) as before,
    ):
        while not before.is_ready():
            assert process.poll() is None
        org = OrgUser(f"{url}/salesforce")
        account_id = org.call("POST", "Account", {"Name": "Acme"}).json()["id"]
        before.salesforce.turn(page_size=7)
        paid = before.stripe.receive_bank_transfer(amount=900, currency="eur", metadata={})
        process.kill()
        process.wait()

    with Simulators(Path(data)) as after:
        token = org.http.headers["Authorization"]
        read = httpx.get(
            f"{after.salesforce_url}/services/data/v59.0/sobjects/Account/{account_id}",
            headers={"Authorization": token},
        )
        assert read.json()["Name"] == "Acme"
        created = OrgUser(after.salesforce_url).call("POST", "Account", {"Name": "Next"}).json()
        assert created["id"] != account_id
        assert after.salesforce.switches()["page_size"] == 7
        intent = httpx.get(
            f"{after.stripe_url}/v1/payment_intents/{paid['id']}",
            headers={"Authorization": "Bearer sk_test_simulated"},
        )
        assert intent.json()["amount_received"] == 900


def test_deliveries_owed_at_the_end_are_made_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "vendors.db"
    receiver = WebhookReceiver()
    with Simulators(data) as before:
        before.stripe.turn(webhooks_paused=True)
        before.stripe.set_webhook_endpoint(receiver.url, ["whsec_first"])
        before.stripe.receive_bank_transfer(amount=900, currency="eur", metadata={})

    with Simulators(data) as after:
        after.stripe.turn(webhooks_paused=False)
        after.stripe.wait_until_delivered()
    receiver.close()

    assert len(receiver.events) == 3


def test_without_a_file_nothing_is_remembered() -> None:
    with Simulators() as before:
        OrgUser(before.salesforce_url).call("POST", "Account", {"Name": "Acme"})

    with Simulators() as after:
        assert OrgUser(after.salesforce_url).rows("SELECT Id FROM Account") == []


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:x", "192.0.2.1:80"])
def test_an_address_that_cannot_be_served_is_refused(address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "throughline_simulators"],
        env={**os.environ, "THROUGHLINE_SIMULATORS_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert address in ended.stderr


def test_the_controls_describe_themselves(simulators: Simulators) -> None:
    paths = httpx.get(f"{simulators.url}/_control/openapi.json").json()["paths"]

    assert {"/salesforce/seed", "/stripe/deliver", "/stripe/switches", "/clock"} <= set(paths)
