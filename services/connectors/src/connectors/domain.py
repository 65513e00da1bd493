"""Connections, crosswalk links and callbacks: what is decided about them, without IO."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, Unauthenticated
from throughline_core.ids import derived_id

SALESFORCE: Final = "salesforce_cpq"
STRIPE: Final = "stripe"
VENDORS: Final = frozenset({SALESFORCE, STRIPE})
# Where secrets may be sent in production: a host by name, or all below one that begins with a dot.
_HOSTS: Final = {
    SALESFORCE: (".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn"),
    STRIPE: ("api.stripe.com",),
}
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})

# A poll reads again what changed this long before the cursor: the clocks of another system's nodes
# differ, and a transaction there may commit after a later stamp was already read.
OVERLAP: Final = timedelta(minutes=2)
ATTEMPTS_MAX: Final = 36
LEASE: Final = timedelta(seconds=60)


class ConnectionNotFound(NotFound):
    """There is no connection of this name."""

    code = "connection.not_found"


class ConnectionDisabled(FailedPrecondition):
    """The connection is switched off."""

    code = "connection.disabled"


class VendorUnknown(InvalidArgument):
    """No adapter has this name."""

    code = "connection.vendor_unknown"


class SecretMissing(FailedPrecondition):
    """The deployment holds no secret of this name."""

    code = "connection.secret_missing"


class MappingInvalid(InvalidArgument):
    """The mapping is no JSON object of the adapter's shape."""

    code = "connection.mapping_invalid"


class AddressUnsafe(InvalidArgument):
    """The address is not encrypted, or in production not one of the vendor's."""

    code = "connection.address_unsafe"


class ProviderUnknown(NotFound):
    """No enabled connection receives callbacks from this vendor."""

    code = "webhook.provider_unknown"


class SignatureInvalid(Unauthenticated):
    """The callback was not signed with the vendor's secret, or too long ago."""

    code = "webhook.signature_invalid"


class CallbackMalformed(InvalidArgument):
    """The callback is signed but has not the vendor's shape."""

    code = "webhook.malformed"


@dataclass(frozen=True, slots=True)
class Connection:
    """An outside system as this deployment reaches it."""

    name: str
    vendor: str
    base_url: str
    client_id: str
    secret_ref: str
    enabled: bool
    legal_entity_id: UUID | None
    mapping: Mapping[str, Any]
    poll_seconds: int
    version: int


@dataclass(frozen=True, slots=True)
class SyncState:
    """How far a connection was read, by the other system's clock."""

    read_up_to: datetime | None = None
    requested_at: datetime | None = None
    last_started_at: datetime | None = None
    last_finished_at: datetime | None = None
    imported: int = 0
    unchanged: int = 0
    refused: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Another system's id and ours for the same thing."""

    system: str
    object_type: str
    source_object_id: str
    object_kind: str
    object_id: UUID

    @property
    def link_id(self) -> UUID:
        return derived_id(
            "crosswalk_link",
            self.system,
            self.object_type,
            self.source_object_id,
            self.object_kind,
        )


class WebhookStatus(StrEnum):
    """What became of a stored callback."""

    RECEIVED = "received"
    DONE = "done"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Callback:
    """A verified callback: the event's id and type there, and the bytes that were signed.

    `connection` is the one whose secret signed it: only that account knows what it tells of.
    """

    provider: str
    connection: str
    event_id: str
    event_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What working on a callback came to, with the reason where it did not succeed."""

    status: WebhookStatus
    reason: str = ""


def check_connection(connection: Connection, *, is_production: bool) -> None:
    """Refuse a connection that could not work or would send secrets in the clear.

    Raises:
        VendorUnknown, AddressUnsafe.
    """
    if connection.vendor not in VENDORS:
        raise VendorUnknown(
            f"there is no adapter {connection.vendor}",
            field="vendor",
            advice=f"use one of {', '.join(sorted(VENDORS))}",
        )
    if not _is_safe(connection, is_production=is_production):
        raise AddressUnsafe(
            "the address is not one that secrets may be sent to",
            field="base_url",
            advice="give the vendor's https address, with neither user, query nor fragment; plain"
            " http is for simulators on the same machine",
        )


def _is_safe(connection: Connection, *, is_production: bool) -> bool:
    try:
        url = urlsplit(connection.base_url)
        host, has_more = url.hostname or "", "@" in url.netloc or url.query or url.fragment
        # Reading the port is what finds one that is none.
        if has_more or not host or url.port == 0:
            return False
    except ValueError:
        return False
    if is_production:
        return url.scheme == "https" and any(
            host.endswith(known) if known.startswith(".") else host == known
            for known in _HOSTS[connection.vendor]
        )
    return url.scheme == "https" or (url.scheme == "http" and host in _LOCAL_HOSTS)


def is_same_source(known: Connection, wanted: Connection) -> bool:
    """Whether what was read so far still counts: same system, understood and owned the same way."""
    return (
        known.vendor == wanted.vendor
        and known.base_url == wanted.base_url
        and known.client_id == wanted.client_id
        and known.legal_entity_id == wanted.legal_entity_id
        and dict(known.mapping) == dict(wanted.mapping)
    )


def with_version(connection: Connection, version: int) -> Connection:
    """Return the connection as the given version of itself."""
    return replace(connection, version=version)


def is_due(connection: Connection, state: SyncState, *, now: datetime) -> bool:
    """Whether the connection is to be read now: somebody asked, or its time has come."""
    if not connection.enabled or connection.vendor != SALESFORCE:
        return False
    if is_asked_for(state):
        return True
    started = state.last_started_at
    if connection.poll_seconds == 0:
        return False
    return started is None or now - started >= timedelta(seconds=connection.poll_seconds)


def counted(state: SyncState, *, imported: bool, unchanged: bool, refused: bool) -> SyncState:
    """Return the state with one more object counted."""
    return replace(
        state,
        imported=state.imported + imported,
        unchanged=state.unchanged + unchanged,
        refused=state.refused + refused,
    )


def read_from(state: SyncState) -> datetime | None:
    """Return the stamp to read from: a little before the cursor, None for everything."""
    return None if state.read_up_to is None else state.read_up_to - OVERLAP


def is_asked_for(state: SyncState) -> bool:
    """Whether somebody asked for the reading that is due, rather than its time having come."""
    started = state.last_started_at
    return state.requested_at is not None and (started is None or state.requested_at > started)


def retry_refused_at(attempts: int, *, now: datetime) -> datetime:
    """Return when to try a refused record again: 1 min, 2 min … up to an hour, without end.

    People mend what stopped it, and nothing tells here when they have.
    """
    return now + timedelta(seconds=min(60.0 * 2.0 ** min(attempts - 1, 6), 3600.0))


def next_attempt(attempts: int, *, now: datetime) -> datetime | None:
    """Return when to try a callback again after `attempts` failures, None to give it up.

    2 s, 4 s … up to an hour: a vendor's outage of a day is outlived.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    return now + timedelta(seconds=min(2.0**attempts, 3600.0))
