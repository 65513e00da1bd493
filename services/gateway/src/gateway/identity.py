"""Bearer tokens: signed by the issuer's published keys, for this audience, in time."""

import asyncio
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request

from throughline.options.v1 import options_pb2
from throughline_core.errors import Unauthenticated, Unavailable
from throughline_runtime.identity import Caller, is_system

# Asymmetric only: a shared secret would let any holder mint tokens.
ALGORITHMS: Final = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
SUBJECT_LENGTH_MAX: Final = 255

_LEEWAY_SECONDS: Final = 30
_KEYS_TTL_SECONDS: Final = 300
# Not sooner again, so that tokens naming unknown keys do not become requests to the issuer.
_KEYS_PAUSE_SECONDS: Final = 10
_KEYS_TIMEOUT_SECONDS: Final = 5
_REMEMBERED_MAX: Final = 4096
_GRANTABLE: Final = frozenset(
    value.name
    for value in options_pb2.Role.DESCRIPTOR.values
    if value.name not in {"ROLE_UNSPECIFIED", "ROLE_SERVICE"}
)

# What is not a token at all fails in more ways than the library's own.
_UNREADABLE: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)

_log: Final = structlog.get_logger(__name__)


class TokenMissing(Unauthenticated):
    """No bearer token was sent."""

    code = "token.missing"


class TokenInvalid(Unauthenticated):
    """The token is forged, expired, for somebody else, or malformed."""

    code = "token.invalid"


class KeysUnavailable(Unavailable):
    """The issuer's keys have never been read, so no token can be checked."""

    code = "token.keys_unavailable"


class Tokens:
    """Verifies the tokens of one issuer for one audience."""

    def __init__(self, *, issuer: str, audience: str, jwks: str) -> None:
        """`jwks` is the path of a file or an https address with the issuer's public keys."""
        self._jwks = jwks
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        self._reader: _Reader | None = None
        self._read_at = self._tried_at = -float("inf")
        self._reading = asyncio.Lock()

    async def caller_of(self, request: Request) -> Caller:
        """Return who sent the request.

        Raises:
            TokenMissing, TokenInvalid: nobody is proven to have sent it.
            KeysUnavailable: the issuer does not tell its keys.
        """
        values = request.headers.getlist("authorization")
        if len(values) > 1:
            raise TokenInvalid("Authorization was sent twice", advice="send it once")
        scheme, _, token = values[0].partition(" ") if values else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenMissing(
                "a bearer token is needed", advice="send Authorization: Bearer <token>"
            )
        return await self.verify(token.strip())

    async def verify(self, token: str) -> Caller:
        """Return the caller that a token proves; see `caller_of` for what it raises."""
        reader = await self._current()
        try:
            try:
                return reader.read(token)
            except (InvalidKeyIdError, BadSignatureError):
                # The issuer may have rotated its keys since they were read.
                return (await self._renewed(reader)).read(token)
        # What is not a token at all fails in more ways than the library's own errors.
        except (
            JoseError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            raise TokenInvalid(
                "the token is not valid: forged, expired, or not meant for this service",
                advice="get a new token from your identity provider",
            ) from error

    async def problem(self) -> str | None:
        """Return why no token can be checked now, None when they can."""
        try:
            await self._current()
        except KeysUnavailable as refusal:
            return refusal.message
        return None

    async def _current(self) -> "_Reader":
        if self._reader is None or time.monotonic() - self._read_at > _KEYS_TTL_SECONDS:
            return await self._renewed(self._reader)
        return self._reader

    async def _renewed(self, known: "_Reader | None") -> "_Reader":
        """Return what reads tokens by the newest keys, or `known` while the issuer is silent."""
        async with self._reading:
            if self._reader is not known and self._reader is not None:
                return self._reader
            if time.monotonic() - self._tried_at > _KEYS_PAUSE_SECONDS:
                await self._read_keys()
            if self._reader is None:
                raise KeysUnavailable("the issuer's keys cannot be read", advice="try again")
            return self._reader

    async def _read_keys(self) -> None:
        self._tried_at = time.monotonic()
        try:
            keys = KeySet.import_key_set(await self._read_jwks())
        except (httpx.HTTPError, OSError, JoseError, ValueError, TypeError, KeyError) as error:
            _log.error("token_keys_unreadable", exc_info=error)
            return
        self._reader = _Reader(keys, self._claims)
        self._read_at = time.monotonic()

    async def _read_jwks(self) -> Any:
        if self._jwks.startswith("https://"):
            async with httpx.AsyncClient(timeout=_KEYS_TIMEOUT_SECONDS) as client:
                response = await client.get(self._jwks)
                response.raise_for_status()
                return response.json()
        text = await asyncio.to_thread(Path(self._jwks).read_text, encoding="utf-8")
        return json.loads(text)


class _Reader:
    """Reads tokens by one set of keys, and remembers those whose signature it checked."""

    def __init__(self, keys: KeySet, claims: jwt.JWTClaimsRegistry) -> None:
        self._keys = keys
        self._claims = claims
        # A caller asks often, and a signature costs more than all else that is checked.
        self._decode = lru_cache(_REMEMBERED_MAX)(self._decode_token)

    def read(self, token: str) -> Caller:
        """Return the caller; raises what the library raises."""
        caller, expires_at = self._decode(token)
        if expires_at + _LEEWAY_SECONDS <= time.time():
            raise ValueError("expired since its signature was checked")
        return caller

    def _decode_token(self, token: str) -> tuple[Caller, int]:
        claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
        self._claims.validate(claims)
        return _read_caller(claims), claims["exp"]


def _read_caller(claims: Mapping[str, Any]) -> Caller:
    """Return the caller that verified claims describe.

    `roles` are lower-case words (`finance`), `scope` is RFC 8693's list in one string, `entities`
    is absent for all legal entities or a list of UUIDs, `system` is absent for a person.
    """
    subject, scope, entities = claims["sub"], claims.get("scope", ""), claims.get("entities")
    if not isinstance(subject, str) or not isinstance(scope, str):
        raise ValueError("subject and scope are texts")
    # The audit trail names services so.
    is_person = subject.isprintable() and not subject.startswith("service:")
    if not is_person or len(subject) > SUBJECT_LENGTH_MAX:
        raise ValueError("no subject of a person")
    return Caller(
        subject=subject,
        roles=frozenset(f"ROLE_{word.upper()}" for word in _words(claims.get("roles", [])))
        & _GRANTABLE,
        scopes=frozenset(scope.split()),
        entities=None if entities is None else frozenset(map(UUID, _words(entities))),
        system=_read_system(claims.get("system")),
    )


def _read_system(value: object) -> str | None:
    """Return the outside system the token speaks for; one that no rule could name is no token."""
    if value is None or (isinstance(value, str) and is_system(value)):
        return value
    raise ValueError("no name of a system")


def _words(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError("expected a list of words")
    return value
