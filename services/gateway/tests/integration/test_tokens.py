"""Keys rotate, issuers fall silent, and rubbish is no token."""

import time
from pathlib import Path
from typing import Any

import pytest
from gateway_front import AUDIENCE, ISSUER, Issuer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.identity import KeysUnavailable, TokenInvalid, Tokens


class Now:
    """The clocks of the module under test."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return 1000 + self.passed

    def time(self) -> float:
        return time.time() + self.passed


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    clock = Now()
    monkeypatch.setattr("gateway.identity.time", clock)
    return clock


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def tokens_of(issuer: Issuer) -> Tokens:
    return Tokens(issuer=ISSUER, audience=AUDIENCE, jwks=str(issuer.jwks_file))


async def test_a_new_key_is_known_as_soon_as_a_token_names_it(issuer: Issuer, now: Now) -> None:
    tokens = tokens_of(issuer)
    await tokens.verify(issuer.token("finance"))
    second = OKPKey.generate_key("Ed25519", {"kid": "second"})
    issuer.publish(issuer.key, second)

    now.passed += 11
    caller = await tokens.verify(issuer.token("pmo", key=second))

    assert caller.roles == {"ROLE_PMO"}


async def test_a_withdrawn_key_opens_nothing_after_five_minutes(issuer: Issuer, now: Now) -> None:
    tokens, token = tokens_of(issuer), issuer.token("finance")
    await tokens.verify(token)
    issuer.publish(OKPKey.generate_key("Ed25519", {"kid": "second"}))

    now.passed += 301
    with pytest.raises(TokenInvalid):
        await tokens.verify(token)


async def test_unknown_keys_do_not_become_requests_to_the_issuer(
    issuer: Issuer, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tokens_of(issuer)
    reads = 0
    read = Tokens._read_jwks

    async def counted(self: Tokens) -> object:
        nonlocal reads
        reads += 1
        return await read(self)

    monkeypatch.setattr(Tokens, "_read_jwks", counted)
    stranger = OKPKey.generate_key("Ed25519", {"kid": "stranger"})
    for _ in range(20):
        now.passed += 1
        with pytest.raises(TokenInvalid):
            await tokens.verify(issuer.token("admin", key=stranger))

    assert reads == 2


async def test_a_silent_issuer_does_not_lock_out_whom_it_named_before(
    issuer: Issuer, now: Now
) -> None:
    tokens = tokens_of(issuer)
    await tokens.verify(issuer.token("finance"))

    issuer.jwks_file.write_text("not JSON")
    now.passed += 400

    assert (await tokens.verify(issuer.token("pmo"))).roles == {"ROLE_PMO"}
    assert await tokens.problem() is None


async def test_without_any_key_nothing_is_verified_and_the_gateway_is_not_ready(
    issuer: Issuer, now: Now
) -> None:
    issuer.jwks_file.unlink()
    tokens = tokens_of(issuer)

    with pytest.raises(KeysUnavailable):
        await tokens.verify(issuer.token("finance"))
    assert await tokens.problem() == "the issuer's keys cannot be read"

    issuer.publish(issuer.key)
    now.passed += 11
    assert await tokens.problem() is None


async def test_a_remembered_token_expires_all_the_same(issuer: Issuer, now: Now) -> None:
    tokens, token = tokens_of(issuer), issuer.token("finance", exp=int(time.time()) + 60)
    await tokens.verify(token)

    now.passed += 120
    with pytest.raises(TokenInvalid):
        await tokens.verify(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\nb"},
        {"sub": "a" * 256},
        {"scope": ["time.read"]},
        {"entities": "all"},
        {"entities": ["DE01"]},
        {"entities": {}},
        {"roles": [1]},
        {"exp": "soon"},
        {"exp": True},
        {"aud": []},
        {"iss": [ISSUER]},
    ],
    ids=str,
)
async def test_a_claim_of_another_shape_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid):
        await tokens_of(issuer).verify(issuer.token("admin", **claims))


async def test_a_token_for_several_audiences_is_for_us_too(issuer: Issuer) -> None:
    token = issuer.token("admin", aud=["console", AUDIENCE])

    assert (await tokens_of(issuer).verify(token)).subject == "ada"


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(st.characters(codec="latin-1"), max_size=200))
async def test_no_rubbish_gets_through_or_breaks_anything(issuer: Issuer, text: str) -> None:
    tokens = tokens_of(issuer)
    head, payload, signature = issuer.token("admin").split(".")

    for token in (text, f"{text}.{payload}.{signature}", f"{head}.{payload}.{text}", f"..{text}"):
        with pytest.raises(TokenInvalid):
            await tokens.verify(token)


@pytest.mark.parametrize("payload", [b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 10_000])
async def test_a_signed_payload_that_is_no_object_of_claims_is_refused(
    issuer: Issuer, payload: bytes
) -> None:
    header = {"alg": "Ed25519", "kid": issuer.key.kid}
    token = jws.serialize_compact(header, payload, issuer.key, algorithms=["Ed25519"])

    with pytest.raises(TokenInvalid):
        await tokens_of(issuer).verify(token)
