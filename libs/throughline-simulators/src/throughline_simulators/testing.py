"""For tests: all simulators on a free loopback port, and the two parties beside them.

These are a signed-in user of the org who edits records, and an endpoint that receives webhooks.
"""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from throughline_simulators.application import create_application
from throughline_simulators.control_client import ControlClient, SalesforceControls, StripeControls
from throughline_simulators.server import base_url, bind, server

_START_SECONDS_MAX: Final = 20.0
_DATA: Final = "/services/data/v59.0"


class Simulators:
    """A context in which the vendors answer; with `data` they remember what an earlier one knew.

    `salesforce_url` is the login host, `stripe_url` the API base; `salesforce` and `stripe` are
    the controls.
    """

    def __init__(self, data: Path | None = None) -> None:
        self._data = data

    def __enter__(self) -> Self:
        bound = bind("127.0.0.1:0")
        self.url = base_url(bound)
        self._server = server(create_application(self._data))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [bound]}, name="simulators", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS_MAX
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the simulators did not start")
            time.sleep(0.005)
        self.control = ControlClient(self.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()
        self._server.should_exit = True
        self._thread.join()

    @property
    def salesforce_url(self) -> str:
        return f"{self.url}/salesforce"

    @property
    def stripe_url(self) -> str:
        return f"{self.url}/stripe"

    @property
    def salesforce(self) -> SalesforceControls:
        return self.control.salesforce

    @property
    def stripe(self) -> StripeControls:
        return self.control.stripe

    def reset(self) -> None:
        """Make both vendors as new, so that one process can serve many tests."""
        for vendor in (self.salesforce, self.stripe):
            vendor.reset(data=True)
        self.control.move_clock(offset_seconds=0)


class OrgUser:
    """A signed-in user of the org at `salesforce_url`; replies come as the vendor gives them."""

    def __init__(
        self,
        salesforce_url: str,
        *,
        client_id: str = "simulated-client",
        client_secret: str = "simulated-secret",
    ) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        with httpx.Client(trust_env=False) as http:
            granted = http.post(f"{salesforce_url}/services/oauth2/token", data=form)
        session = granted.raise_for_status().json()
        self.http = httpx.Client(
            base_url=session["instance_url"],
            headers={"Authorization": f"Bearer {session['access_token']}"},
            trust_env=False,
        )

    def query(self, soql: str, **headers: str) -> httpx.Response:
        return self.http.get(f"{_DATA}/query", params={"q": soql}, headers=headers)

    def rows(self, soql: str) -> list[dict[str, Any]]:
        """Return the first page of rows.

        Raises:
            httpx.HTTPStatusError: the query was refused.
        """
        rows: list[dict[str, Any]] = self.query(soql).raise_for_status().json()["records"]
        return rows

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> httpx.Response:
        """Call `sobjects/{path}`, for instance `PATCH SBQQ__Quote__c/{id}`."""
        return self.http.request(method, f"{_DATA}/sobjects/{path}", json=body)

    def close(self) -> None:
        self.http.close()


class WebhookReceiver:
    """An endpoint on a free loopback port: keeps what it gets, answers 200 or as told.

    `answers` holds the statuses of the next replies.
    """

    def __init__(self) -> None:
        self.received: list[tuple[Mapping[str, str], bytes]] = []
        self.answers: list[int] = []
        received, answers = self.received, self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((dict(self.headers), body))
                self.send_response(answers.pop(0) if answers else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing, where the base class writes to standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
