"""Secrets that stay, and the bearer tokens of this machine."""

import json
import time
from pathlib import Path
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from throughline_cli.stack.secrets import AUDIENCE, ISSUER, Secrets, Subject, TokenIssuer

ENTITY = UUID("0199a3c2-0000-7000-8000-000000000001")


@pytest.fixture
def issuer(tmp_path: Path) -> TokenIssuer:
    """An issuer with a key of its own."""
    issuer = Secrets(tmp_path).issuer
    issuer.prepare()
    return issuer


def test_a_secret_is_the_same_each_time_and_differs_from_others(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)

    assert secrets.value("caller-key") == secrets.value("caller-key")
    assert secrets.value("caller-key") != secrets.value("nats-gateway")
    assert len(secrets.value("caller-key")) >= 32


def test_a_token_says_for_whom_it_speaks(issuer: TokenIssuer) -> None:
    subject = Subject("ada", ("finance",), ("invoices.read", "invoices.write"), (ENTITY,))

    token = jwt.decode(
        issuer.mint(subject, lifetime_seconds=60), _published(issuer), algorithms=["Ed25519"]
    )

    claims = token.claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, AUDIENCE, "ada")
    assert claims["roles"] == ["finance"]
    assert claims["scope"] == "invoices.read invoices.write"
    assert claims["entities"] == [str(ENTITY)]
    assert claims["exp"] - claims["iat"] == 60
    assert abs(claims["iat"] - time.time()) < 5


def test_a_token_names_the_system_it_speaks_for_and_none_for_a_person(issuer: TokenIssuer) -> None:
    systems = [
        jwt.decode(
            issuer.mint(Subject("crm", ("integration",), system=system), lifetime_seconds=60),
            _published(issuer),
            algorithms=["Ed25519"],
        ).claims["system"]
        for system in ("salesforce", None)
    ]

    assert systems == ["salesforce", None]


def test_a_subject_of_all_entities_differs_from_one_of_none(issuer: TokenIssuer) -> None:
    keys = _published(issuer)

    entities = [
        jwt.decode(
            issuer.mint(Subject("ada", (), (), allowed), lifetime_seconds=1),
            keys,
            algorithms=["Ed25519"],
        ).claims["entities"]
        for allowed in (None, ())
    ]

    assert entities == [None, []]


def test_the_published_keys_hold_nothing_to_sign_with(issuer: TokenIssuer) -> None:
    assert "d" not in json.loads(issuer.jwks_file.read_text())["keys"][0]


def test_another_machines_tokens_are_not_ours(issuer: TokenIssuer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Secrets(tmp_path / "other").issuer
    other.prepare()

    with pytest.raises(JoseError):
        jwt.decode(
            other.mint(Subject("ada", ()), lifetime_seconds=60),
            _published(issuer),
            algorithms=["Ed25519"],
        )


@pytest.mark.parametrize("seconds", [0, -1, 31 * 24 * 3600])
def test_a_token_neither_lives_for_ever_nor_dies_unborn(issuer: TokenIssuer, seconds: int) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        issuer.mint(Subject("ada", ()), lifetime_seconds=seconds)


def _published(issuer: TokenIssuer) -> KeySet:
    return KeySet.import_key_set(json.loads(issuer.jwks_file.read_text()))
