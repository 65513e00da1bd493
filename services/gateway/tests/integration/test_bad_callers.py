"""Only whom the issuer names gets in, and no further than its role, its scope and its share."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable

import pytest
from gateway_front import Front, Issuer, Peers, expect, open_front
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

pytestmark = pytest.mark.asyncio(loop_scope="module")


def public_key_as_secret(issuer: Issuer) -> str:
    secret = OctKey.import_key(json.dumps(issuer.key.as_dict(private=False)))
    claims = jwt.decode(issuer.token("admin"), issuer.key, algorithms=["Ed25519"]).claims
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, secret, algorithms=["HS256"])


def algorithm_none(issuer: Issuer) -> str:
    header = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{issuer.token('admin').split('.')[1]}."


def signed_by(kid: str) -> Callable[[Issuer], str]:
    stranger = OKPKey.generate_key("Ed25519", {"kid": kid})
    return lambda issuer: issuer.token("admin", key=stranger)


FORGED: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda issuer: issuer.token("admin", exp=int(time.time()) - 60),
    "without expiry": lambda issuer: issuer.token("admin", exp=None),
    "not yet valid": lambda issuer: issuer.token("admin", nbf=int(time.time()) + 600),
    "unsigned": lambda issuer: issuer.token("admin").rpartition(".")[0] + ".",
    "algorithm none": algorithm_none,
    "public key as secret": public_key_as_secret,
    "other audience": lambda issuer: issuer.token("admin", aud="somebody else"),
    "other issuer": lambda issuer: issuer.token("admin", iss="https://elsewhere.test"),
    "nobody": lambda issuer: issuer.token("admin", sub=None),
    "a service": lambda issuer: issuer.token("admin", sub="service:billing-event"),
    "roles in one text": lambda issuer: issuer.token(roles="admin"),
    "no name of a system": lambda issuer: issuer.token("admin", system="*"),
    "systems in a list": lambda issuer: issuer.token("admin", system=["salesforce"]),
    "unknown key": signed_by("second"),
    "another key of that name": signed_by("first"),
    "rubbish": lambda _issuer: "no.token.at.all",
}


@pytest.mark.parametrize("kind", FORGED)
async def test_only_the_issuers_own_tokens_open(front: Front, kind: str) -> None:
    headers = {"Authorization": f"Bearer {FORGED[kind](front.issuer)}"}

    reply = await front.client.get("/v1/customers", headers=headers)

    expect(reply, 401, "token.invalid")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert not front.peers.asked


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}]
)
async def test_without_a_token_nothing_opens(front: Front, headers: dict[str, str]) -> None:
    reply = await front.client.get("/v1/customers", headers=headers)

    expect(reply, 401, "token.missing")


async def test_two_tokens_are_no_token(front: Front) -> None:
    headers = [*front.bearer().items(), *front.bearer("auditor").items()]

    reply = await front.client.get("/v1/customers", headers=headers)

    expect(reply, 401, "token.invalid")


async def test_another_role_and_a_missing_scope_are_refused(front: Front) -> None:
    path = "/v1/invoice-runs"

    by_role = await front.client.get(path, headers=front.bearer("consultant"))
    by_scope = await front.client.get(path, headers=front.bearer("finance", scope="time.read"))

    expect(by_role, 403, "caller.role_missing")
    expect(by_scope, 403, "caller.scope_missing")
    assert not front.peers.asked


async def test_the_role_of_services_cannot_be_had_by_a_token(front: Front) -> None:
    reply = await front.client.get("/v1/customers", headers=front.bearer("service"))

    expect(reply, 403, "caller.role_missing")


async def test_who_asks_too_often_is_told_when_to_come_back(front: Front) -> None:
    async with open_front(
        front.issuer, Peers(), targets=front.targets, requests_per_minute=3
    ) as narrow:
        for _ in range(3):
            assert (await narrow.ask("GET", "/v1/customers")).status_code == 200
        reply = await narrow.ask("GET", "/v1/customers")
        other = await narrow.client.get("/v1/customers", headers=narrow.bearer(sub="grace"))

    expect(reply, 429, "request.throttled")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert other.status_code == 200
