"""Access tokens: the client credentials grant, expiry by time, by use and at a word."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Final, TypedDict

from throughline_simulators.salesforce.errors import TokenError, invalid_session
from throughline_simulators.salesforce.ids import numbered_id
from throughline_simulators.salesforce.org import Org
from throughline_simulators.store import Collection

_ORG_ID: Final = numbered_id("00D", 1)
_USER_ID: Final = numbered_id("005", 1)


class Session(TypedDict):
    expires_at: int
    calls: int


class Sessions:
    """The tokens of the org; they outlive a restart, as they do at the vendor."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._sessions: Collection[Session] = Collection(org.store, "salesforce.session")

    def grant(self, form: Mapping[str, str], *, instance_url: str) -> Mapping[str, object]:
        """Return the reply to a token request.

        Raises:
            TokenError: another grant, or a client that is not known.
        """
        switches = self._org.switches
        if form.get("grant_type") != "client_credentials":
            raise TokenError("unsupported_grant_type", "grant type not supported")
        if form.get("client_id") != switches.client_id:
            raise TokenError("invalid_client_id", "client identifier invalid")
        if form.get("client_secret") != switches.client_secret:
            raise TokenError("invalid_client", "invalid client credentials")
        if switches.run_as_user_missing:
            raise TokenError("invalid_grant", "no client credentials user enabled")
        token = f"{_ORG_ID[:15]}!AQ{secrets.token_urlsafe(72)}"
        self._sessions.put(
            token, {"expires_at": int(time.time()) + switches.session_seconds, "calls": 0}
        )
        identity = f"{instance_url}/id/{_ORG_ID}/{_USER_ID}"
        issued_at = str(time.time_ns() // 1_000_000)
        return {
            "access_token": token,
            "signature": _sign(identity + issued_at, switches.client_secret),
            "token_format": "opaque",
            "scope": "api",
            "instance_url": instance_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
            "api_instance_url": "https://api.salesforce.com",
        }

    def use(self, authorization: str | None) -> None:
        """Count one call of the session in an Authorization header.

        Raises:
            ApiError: INVALID_SESSION_ID, for a token that is unknown, expired or used up.
        """
        scheme, _, token = (authorization or "").partition(" ")
        session = self._sessions.get(token) if scheme.lower() in ("bearer", "oauth") else None
        if session is None or session["expires_at"] <= time.time():
            raise invalid_session()
        calls_max = self._org.switches.session_calls_max
        if calls_max and session["calls"] >= calls_max:
            self._sessions.remove(token)
            raise invalid_session()
        self._sessions.put(token, {**session, "calls": session["calls"] + 1})

    def expire_all(self) -> int:
        """End every session and return how many there were."""
        count = len(self._sessions)
        self._org.store.clear("salesforce.session")
        return count


def _sign(text: str, secret: str) -> str:
    return base64.b64encode(hashlib.sha256((text + secret).encode()).digest()).decode()
