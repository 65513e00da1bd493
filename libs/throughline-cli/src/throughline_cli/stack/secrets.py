"""The secrets of one stack, each a file of mode 0600 made when it is first asked for."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import KeyParameters, KeySet, OKPKey

from throughline_cli.stack.layout import write_secret

ISSUER: Final = "throughline-local"
AUDIENCE: Final = "throughline"
LIFETIME_SECONDS_MAX: Final = 30 * 24 * 3600

_ALGORITHM: Final = "Ed25519"
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """The folder of secrets; what is asked for twice is the same both times."""

    folder: Path

    def file(self, name: str) -> Path:
        """Return the file of a random secret, for a process that reads it itself."""
        path = self.folder / name
        if not path.exists():
            write_secret(path, secrets.token_urlsafe(_RANDOM_BYTES))
        return path

    def value(self, name: str) -> str:
        """Return a random secret of 256 bits, safe in URLs."""
        return self.file(name).read_text(encoding="utf-8")

    def keep(self, name: str, value: str) -> Path:
        """Write a secret made of others, such as a URL with its password; return its file."""
        path = self.folder / name
        write_secret(path, value)
        return path

    @property
    def issuer(self) -> "TokenIssuer":
        """The issuer of bearer tokens on this machine."""
        return TokenIssuer(
            self.folder / "token-issuer.json", self.folder / "token-issuer.jwks.json"
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom a bearer token speaks.

    `entities` None means every legal entity, an empty tuple none; empty `scopes` do not limit.
    `system` is the outside system it speaks for, whose changes the ownership rules limit.
    """

    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    entities: tuple[UUID, ...] | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Mints bearer tokens (JWT, Ed25519) where a firm would use its own identity provider."""

    key_file: Path
    jwks_file: Path

    def prepare(self) -> None:
        """Make the key if there is none, and publish its public half where the gateway reads it."""
        key = self._key()
        public = KeySet([key]).as_dict(private=False)
        write_secret(self.jwks_file, json.dumps(public, indent=2))

    def mint(self, subject: Subject, *, lifetime_seconds: int) -> str:
        """Return a token for `subject` that expires after `lifetime_seconds` of real time.

        Raises:
            ValueError: the lifetime is not between a second and thirty days.
        """
        if not 0 < lifetime_seconds <= LIFETIME_SECONDS_MAX:
            raise ValueError(f"lifetime must be 1 to {LIFETIME_SECONDS_MAX} seconds")
        key, issued_at = self._key(), int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject.name,
            "iat": issued_at,
            "exp": issued_at + lifetime_seconds,
            "jti": str(uuid4()),
            "roles": list(subject.roles),
            "scope": " ".join(subject.scopes),
            "entities": _write_entities(subject.entities),
            "system": subject.system,
        }
        header = {"alg": _ALGORITHM, "kid": key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, key, algorithms=[_ALGORITHM])

    def _key(self) -> OKPKey:
        if not self.key_file.exists():
            parameters: KeyParameters = {
                "kid": secrets.token_hex(8),
                "use": "sig",
                "alg": _ALGORITHM,
            }
            key = OKPKey.generate_key(_ALGORITHM, parameters, private=True)
            write_secret(self.key_file, json.dumps(key.as_dict(private=True)))
        return OKPKey.import_key(json.loads(self.key_file.read_text(encoding="utf-8")))


def _write_entities(entities: Sequence[UUID] | None) -> list[str] | None:
    return None if entities is None else [str(entity) for entity in entities]
