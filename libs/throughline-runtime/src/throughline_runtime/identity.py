"""Who asks: the signed caller that travels with every RPC, and what it may do.

The gateway mints it from an outside token, services verify it. A service that asks a peer on
somebody's behalf signs the same caller anew with itself as the actor: the peer then admits it by
`ROLE_SERVICE` and still limits it to the person's legal entities.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from throughline_core.errors import PermissionDenied, Unauthenticated

METADATA_KEY: Final = "throughline-caller"
ROLE_SERVICE: Final = "ROLE_SERVICE"
ROLE_ADMIN: Final = "ROLE_ADMIN"
LIFETIME_SECONDS_MAX: Final = 60

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "throughline"
_AUDIENCE: Final = "throughline-services"
_KEY_BYTES_MIN: Final = 32
_CLOCK_SKEW_SECONDS: Final = 5
_ISSUE_STEP_SECONDS: Final = 5
_REMEMBERED_MAX: Final = 1024
_SYSTEM: Final = re.compile("[a-z][a-z0-9_-]{0,59}")


class CallerUnproven(Unauthenticated):
    """The signed caller is absent, forged, expired or not meant for these services."""

    code = "caller.unproven"


class RoleMissing(PermissionDenied):
    """No role of the caller is admitted to the method."""

    code = "caller.role_missing"


class ScopeMissing(PermissionDenied):
    """The caller's token was not given the scope of the method."""

    code = "caller.scope_missing"


class EntityForbidden(PermissionDenied):
    """The caller is limited to other legal entities."""

    code = "caller.entity_forbidden"


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a service, as proven to this process.

    `roles` are names of `throughline.options.v1.Role`. Empty `scopes` do not limit, `entities` None
    means every legal entity and an empty set none. `actor` is the service that passes a
    person's call on, None when the call came directly. `system` is the outside system it speaks
    for, whose changes the ownership rules limit; None for people and for services themselves.
    """

    subject: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    entities: frozenset[UUID] | None = frozenset()
    is_service: bool = False
    actor: str | None = None
    system: str | None = None

    @classmethod
    def service(cls, name: str, *, system: str | None = None) -> Self:
        """Return the identity under which the service `name` acts, for itself or for `system`."""
        return cls(
            subject=f"service:{name}",
            roles=frozenset({ROLE_SERVICE}),
            entities=None,
            is_service=True,
            system=system,
        )

    def passed_on_by(self, service: str) -> "Caller":
        """Return this caller as the service `service` presents it to a peer."""
        return self if self.is_service else replace(self, actor=service)


@dataclass(frozen=True, slots=True)
class Access:
    """What a method's `access` option demands: one scope, and any one of the roles."""

    scope: str
    roles: frozenset[str]


class CallerTokens:
    """Mints and verifies signed callers (compact JWS, HS256) with the key all services share.

    Their life is counted on the wall clock, never on the business clock that a sandbox may move.
    """

    def __init__(self, key: str) -> None:
        """Raises `ValueError` for a key shorter than the hash it feeds."""
        if len(key.encode()) < _KEY_BYTES_MIN:
            raise ValueError(f"caller key must have at least {_KEY_BYTES_MIN} bytes")
        self._key = OctKey.import_key(key)
        # A caller asks often: signing and checking it anew each time would cost more than the
        # rest of the checks together.
        self._sign = lru_cache(_REMEMBERED_MAX)(self._sign_claims)
        self._read = lru_cache(_REMEMBERED_MAX)(self._read_token)
        self._claims = JWTClaimsRegistry(
            leeway=_CLOCK_SKEW_SECONDS,
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            iss={"essential": True, "value": _ISSUER},
            aud={"essential": True, "value": _AUDIENCE},
        )

    def mint(self, caller: Caller, *, lifetime_seconds: int = 30) -> str:
        """Return the caller signed for at most a minute from now."""
        if not 0 < lifetime_seconds <= LIFETIME_SECONDS_MAX:
            raise ValueError(f"lifetime must be 1 to {LIFETIME_SECONDS_MAX} seconds")
        step = int(time.time()) // _ISSUE_STEP_SECONDS
        return self._sign(caller, step * _ISSUE_STEP_SECONDS, lifetime_seconds)

    def _sign_claims(self, caller: Caller, issued_at: int, lifetime_seconds: int) -> str:
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": caller.subject,
            "iat": issued_at,
            "exp": issued_at + lifetime_seconds,
            "roles": sorted(caller.roles),
            "scopes": sorted(caller.scopes),
            "entities": None if caller.entities is None else sorted(map(str, caller.entities)),
            "service": caller.is_service,
            "act": caller.actor,
            "system": caller.system,
        }
        payload = json.dumps(claims, separators=(",", ":"))
        return jws.serialize_compact(
            {"alg": _ALGORITHM}, payload, self._key, algorithms=[_ALGORITHM]
        )

    def verify(self, token: str) -> Caller:
        """Return the caller the token proves.

        Raises:
            CallerUnproven: anything about it is wrong; the message does not say what to forge.
        """
        try:
            caller, expires_at = self._read(token)
            if expires_at <= time.time() - _CLOCK_SKEW_SECONDS:
                raise ValueError("expired since it was read")
            return caller
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CallerUnproven("the signed caller is not valid") from error

    def _read_token(self, token: str) -> tuple[Caller, int]:
        signed = jws.deserialize_compact(token, self._key, algorithms=[_ALGORITHM])
        claims = json.loads(signed.payload or b"")
        self._claims.validate(claims)
        if claims["exp"] - claims["iat"] > LIFETIME_SECONDS_MAX:
            raise ValueError("lives too long")
        return _read_claims(claims), claims["exp"]


def _read_claims(claims: Mapping[str, object]) -> Caller:
    entities = claims["entities"]
    is_service = claims["service"]
    # A gateway that is one release behind knows no systems, only people.
    actor, system = claims["act"], claims.get("system")
    if not isinstance(is_service, bool) or not (actor is None or isinstance(actor, str)):
        raise ValueError("malformed claims")
    if not (system is None or (isinstance(system, str) and is_system(system))):
        raise ValueError("malformed system")
    return Caller(
        subject=str(claims["sub"]),
        roles=_read_words(claims["roles"]),
        scopes=_read_words(claims["scopes"]),
        entities=None if entities is None else frozenset(map(UUID, _read_words(entities))),
        is_service=is_service,
        actor=actor,
        system=system,
    )


def is_system(name: str) -> bool:
    """Whether `name` can name an outside system: `salesforce`, `time-clock_2`."""
    return _SYSTEM.fullmatch(name) is not None


def _read_words(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError("expected a list of words")
    return frozenset(value)


_current: ContextVar[Caller] = ContextVar("throughline_caller")


def current_caller() -> Caller:
    """Return the caller this task works for; consumers and schedules work for their service.

    Raises:
        CallerUnproven: nobody was named, so nothing is allowed.
    """
    caller = _current.get(None)
    if caller is None:
        raise CallerUnproven("nobody is named as the caller")
    return caller


def caller_or(default: Caller) -> Caller:
    """Return the caller this task works for, `default` where nobody is named."""
    return _current.get(default)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """Let the block, and the tasks started in it, work for `caller`."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def require_entity(legal_entity_id: UUID | str) -> None:
    """Refuse unless the current caller may act for the legal entity.

    Raises:
        EntityForbidden: it is limited to others.
        CallerUnproven: there is no caller.
    """
    entities = current_caller().entities
    wanted = legal_entity_id if isinstance(legal_entity_id, UUID) else UUID(legal_entity_id)
    if entities is not None and wanted not in entities:
        raise EntityForbidden(
            f"the caller may not act for legal entity {wanted}",
            advice="ask an administrator for access to this legal entity",
        )


def require_every_entity() -> None:
    """Refuse a caller limited to legal entities: what is asked for concerns all of them at once.

    Raises:
        EntityForbidden: it is limited.
        CallerUnproven: there is no caller.
    """
    if current_caller().entities is not None:
        raise EntityForbidden(
            "this concerns every legal entity, and the caller is limited to some",
            advice="ask somebody who may act for all of them",
        )


def visible_entities() -> frozenset[UUID] | None:
    """Return the legal entities the current caller may see, None for all: a filter for lists.

    Raises:
        CallerUnproven: there is no caller.
    """
    return current_caller().entities


def authorise(caller: Caller, access: Access) -> None:
    """Admit the caller to a method, or refuse.

    An administrator is admitted to each method. A call that a service makes, for itself or on
    somebody's behalf, is admitted by `ROLE_SERVICE` and needs no scope; where a method does not
    list it, the person's own roles and scopes decide.

    Raises:
        RoleMissing, ScopeMissing: what the caller lacks.
    """
    by_service = caller.is_service or caller.actor is not None
    if by_service and ROLE_SERVICE in access.roles:
        return
    if not caller.roles & ((access.roles - {ROLE_SERVICE}) | {ROLE_ADMIN}):
        raise RoleMissing(
            f"this needs one of the roles {', '.join(sorted(access.roles))}",
            advice="ask an administrator for the role, or somebody who holds it",
        )
    if caller.scopes and access.scope not in caller.scopes:
        raise ScopeMissing(
            f"this needs the scope {access.scope}", advice="use a token issued with this scope"
        )
