"""Signed callers: what is proven survives the wire, anything else is refused."""

import json
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from throughline_runtime.identity import (
    Access,
    Caller,
    CallerTokens,
    CallerUnproven,
    EntityForbidden,
    RoleMissing,
    ScopeMissing,
    acting_as,
    authorise,
    current_caller,
    require_entity,
    visible_entities,
)

KEY = "k" * 32
ENTITY = UUID("0198a1b2-0000-7000-8000-000000000001")
FINANCE = Access("invoices.write", frozenset({"ROLE_FINANCE"}))
SERVICES = Access("terms.read", frozenset({"ROLE_FINANCE", "ROLE_SERVICE"}))


def a_caller(*roles: str, scopes: frozenset[str] = frozenset(), actor: str | None = None) -> Caller:
    return Caller("user-7", frozenset(roles), scopes, frozenset({ENTITY}), actor=actor)


def valid_claims() -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "throughline",
        "aud": "throughline-services",
        "sub": "user-7",
        "iat": now,
        "exp": now + 30,
        "roles": ["ROLE_FINANCE"],
        "scopes": [],
        "entities": None,
        "service": False,
        "act": None,
    }


def signed(claims: object, *, key: str = KEY, algorithm: str = "HS256") -> str:
    return jws.serialize_compact(
        {"alg": algorithm}, json.dumps(claims), OctKey.import_key(key), algorithms=[algorithm]
    )


@pytest.mark.parametrize(
    "caller",
    [
        a_caller("ROLE_FINANCE", "ROLE_PMO", scopes=frozenset({"invoices.read"})),
        a_caller("ROLE_FINANCE", actor="customer-contract"),
        Caller.service("billing-event"),
        Caller.service("connectors", system="salesforce"),
        Caller("nobody"),
    ],
)
def test_a_caller_survives_the_wire(caller: Caller) -> None:
    tokens = CallerTokens(KEY)

    assert tokens.verify(tokens.mint(caller)) == caller


def test_valid_claims_are_accepted_so_that_the_refusals_below_mean_something() -> None:
    assert CallerTokens(KEY).verify(signed(valid_claims())).subject == "user-7"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "another-family"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": timedelta(seconds=-60)},
        {"exp": timedelta(hours=1)},
        {"iat": None},
        {"iat": timedelta(seconds=600), "exp": timedelta(seconds=630)},
        {"roles": "ROLE_ADMIN"},
        {"roles": [1]},
        {"entities": ["not a uuid"]},
        {"service": "yes"},
        {"act": 7},
        {"system": 7},
        {"system": "Sales Force"},
    ],
    ids=repr,
)
def test_a_claim_that_is_wrong_or_absent_proves_nothing(changed: dict[str, object]) -> None:
    claims = valid_claims() | {
        # Counted from the run: every worker must collect the same names.
        name: int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in changed.items()
    }

    with pytest.raises(CallerUnproven):
        CallerTokens(KEY).verify(signed(claims))


@pytest.mark.parametrize("name", ["exp", "iat", "iss", "aud", "sub", "roles", "entities", "act"])
def test_a_missing_claim_proves_nothing(name: str) -> None:
    claims = valid_claims()
    del claims[name]

    with pytest.raises(CallerUnproven):
        CallerTokens(KEY).verify(signed(claims))


@pytest.mark.parametrize(
    "token",
    [
        signed(valid_claims(), key="another key that is long enough!"),
        signed(valid_claims(), algorithm="HS512"),
        "eyJhbGciOiJub25lIn0." + signed(valid_claims()).split(".")[1] + ".",
        signed(valid_claims())[:-2],
        signed(["not", "claims"]),
        "rubbish",
        "",
    ],
)
def test_a_token_not_signed_by_the_family_proves_nothing(token: str) -> None:
    with pytest.raises(CallerUnproven):
        CallerTokens(KEY).verify(token)


def test_a_key_shorter_than_its_hash_is_not_taken() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        CallerTokens("short")


def test_a_token_read_before_is_refused_once_it_has_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = CallerTokens(KEY)
    token = tokens.mint(Caller("user-7"), lifetime_seconds=30)
    tokens.verify(token)
    later = time.time() + 40

    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(CallerUnproven):
        tokens.verify(token)


@pytest.mark.parametrize("seconds", [0, -1, 61])
def test_no_token_lives_longer_than_a_minute(seconds: int) -> None:
    with pytest.raises(ValueError, match="60 seconds"):
        CallerTokens(KEY).mint(Caller("user-7"), lifetime_seconds=seconds)


@pytest.mark.parametrize(
    ("caller", "access", "refusal"),
    [
        (a_caller("ROLE_FINANCE"), FINANCE, None),
        (a_caller("ROLE_FINANCE", "ROLE_PMO"), FINANCE, None),
        (a_caller("ROLE_ADMIN"), FINANCE, None),
        (a_caller("ROLE_PMO"), FINANCE, RoleMissing),
        (a_caller(), FINANCE, RoleMissing),
        (a_caller("ROLE_FINANCE", scopes=frozenset({"invoices.write"})), FINANCE, None),
        (a_caller("ROLE_FINANCE", scopes=frozenset({"invoices.read"})), FINANCE, ScopeMissing),
        (a_caller("ROLE_ADMIN", scopes=frozenset({"invoices.read"})), FINANCE, ScopeMissing),
        (Caller.service("reporting"), FINANCE, RoleMissing),
        (Caller.service("reporting"), SERVICES, None),
        (a_caller("ROLE_PMO", actor="customer-contract"), SERVICES, None),
        (a_caller("ROLE_PMO", actor="customer-contract"), FINANCE, RoleMissing),
        (a_caller("ROLE_FINANCE", actor="customer-contract"), FINANCE, None),
        (a_caller("ROLE_SERVICE"), SERVICES, RoleMissing),
    ],
)
def test_who_may_call(
    caller: Caller, access: Access, refusal: type[RoleMissing | ScopeMissing] | None
) -> None:
    if refusal is None:
        authorise(caller, access)
    else:
        with pytest.raises(refusal):
            authorise(caller, access)


def test_without_a_caller_nothing_is_allowed() -> None:
    with pytest.raises(CallerUnproven):
        current_caller()
    with pytest.raises(CallerUnproven):
        require_entity(ENTITY)


def test_a_caller_limited_to_an_entity_may_act_for_no_other() -> None:
    with acting_as(a_caller("ROLE_FINANCE")):
        require_entity(ENTITY)
        require_entity(str(ENTITY))
        assert visible_entities() == frozenset({ENTITY})
        with pytest.raises(EntityForbidden):
            require_entity(uuid4())


def test_a_service_acts_for_every_entity_but_not_when_it_passes_somebody_on() -> None:
    with acting_as(Caller.service("reporting")):
        require_entity(uuid4())
        assert visible_entities() is None
    with acting_as(a_caller().passed_on_by("reporting")), pytest.raises(EntityForbidden):
        require_entity(uuid4())
