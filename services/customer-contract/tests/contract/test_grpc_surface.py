"""The gRPC surface: who is let in, what is checked before, and that the comments tell the truth."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules, walk_packages

import pytest
from customer_contract_world import a_request_id, customer_request, entity_request
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

import customer_contract
from throughline.customer_contract import v1
from throughline.customer_contract.v1 import (
    contract_service_pb2,
    customer_service_pb2,
    quote_service_pb2,
    rate_card_service_pb2,
)
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceStub
from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import LegalEntityServiceStub
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceStub
from throughline.customer_contract.v1.rate_card_service_pb2_grpc import RateCardServiceStub
from throughline_core.errors import (
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    Refusal,
)
from throughline_runtime.rpc.access import access_of
from throughline_testing.serving import Running, a_caller

PROTO = Path(__file__).resolve().parents[4] / "proto/throughline/customer_contract/v1"
MODULES = tuple(
    import_module(module.name)
    for module in iter_modules(v1.__path__, f"{v1.__name__}.")
    if module.name.endswith("_service_pb2")
)
_WRITES = {"post", "put", "patch", "delete", None}
READS = ("Get", "List", "Check", "Resolve", "Compare")
CODE = re.compile(r"\b[a-z_]+\.[a-z_]+\b")


def methods() -> Iterator[MethodDescriptor]:
    for module in MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def documented_codes() -> set[str]:
    """Return every code behind a `Refuses:` in the comments of the services."""
    codes = set()
    for file in PROTO.glob("*_service.proto"):
        flowing = re.sub(r"\n\s*//\s?", " ", file.read_text())
        for sentence in re.findall(r"Refuses: (.*?)\.(?:\s|$)", flowing, flags=re.DOTALL):
            codes.update(CODE.findall(sentence))
    return codes


def refusals_of(package: str, path: list[str]) -> set[str]:
    for module in walk_packages(path, f"{package}."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    return {kind.code for kind in _subclasses(Refusal) if kind.__module__.startswith(f"{package}.")}


def _subclasses(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.name)
def test_every_method_says_who_may_call_it_and_where(method: MethodDescriptor) -> None:
    access = access_of(method)
    assert access.roles
    kind = "read" if method.name.startswith(READS) else "write"
    assert access.scope.endswith(".read") == (kind == "read")
    http = method.GetOptions().Extensions[annotations_pb2.http]
    # A method without a path is for the other services only.
    assert http.WhichOneof("pattern") in ({"get", None} if kind == "read" else _WRITES)


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.name)
def test_every_mutation_has_an_idempotency_key(method: MethodDescriptor) -> None:
    is_read = access_of(method).scope.endswith(".read")
    assert ("request_id" in method.input_type.fields_by_name) != is_read


def test_every_refusal_of_ours_is_documented_and_every_documented_one_exists() -> None:
    ours = refusals_of("customer_contract", list(customer_contract.__path__))
    known = {kind.code for kind in _subclasses(Refusal)}
    assert ours - documented_codes() == set()
    assert documented_codes() - known == set()


@pytest.mark.parametrize("role", ["consultant", "auditor"])
async def test_roles_that_are_not_listed_are_refused(running: Running, role: str) -> None:
    for module in MODULES:
        grpc_module = import_module(f"{module.__name__}_grpc")
        for service in module.DESCRIPTOR.services_by_name.values():
            stub = running.stub(getattr(grpc_module, f"{service.name}Stub"), caller=a_caller(role))
            for method in service.methods:
                if f"ROLE_{role.upper()}" in access_of(method).roles:
                    continue
                with pytest.raises(PermissionDenied) as refused:
                    await getattr(stub, method.name)(GetMessageClass(method.input_type)())
                assert refused.value.stable_code == "caller.role_missing"


async def test_a_scope_that_is_not_the_methods_is_refused(running: Running) -> None:
    limited = running.stub(
        CustomerServiceStub, caller=a_caller("finance", scopes=["customers.read"])
    )
    with pytest.raises(PermissionDenied) as refused:
        await limited.CreateCustomer(customer_request())
    assert refused.value.stable_code == "caller.scope_missing"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"currency": "eur"}, "currency"),
        ({"payment_terms_days": -1}, "payment_terms_days"),
        ({"billing_email": "nobody"}, "billing_email"),
        ({"address": None}, "address"),
        ({"parent_customer_id": "7"}, "parent_customer_id"),
        ({"request_id": ""}, "request_id"),
    ],
)
async def test_a_malformed_field_is_named(
    running: Running, changes: dict[str, object], field: str
) -> None:
    customers = running.stub(CustomerServiceStub, caller=a_caller("finance"))
    with pytest.raises(InvalidArgument) as refused:
        await customers.CreateCustomer(customer_request(**changes))
    assert refused.value.field == field


async def test_amounts_are_exact_and_dates_are_on_the_calendar(running: Running) -> None:
    quotes = running.stub(QuoteServiceStub, caller=a_caller("sales_operations"))
    pb = quote_service_pb2
    line = pb.QuoteLineTerms(service_code="X", quantity="1")
    terms = pb.QuoteTerms(
        customer_id="01980000-0000-7000-8000-0000000000c1",
        legal_entity_id="01980000-0000-7000-8000-0000000000e1",
        currency="EUR",
        start_on="2026-02-30",
        end_on="2026-12-01",
        lines=[line],
    )
    terms.lines[0].unit_price.currency = "EUR"
    for amount in ("NaN", "1e3", "Infinity", "1,5", "+1", "01", ".5", "1.1234567"):
        terms.lines[0].unit_price.amount = amount
        with pytest.raises(InvalidArgument) as refused:
            await quotes.CreateQuote(pb.CreateQuoteRequest(request_id=a_request_id(), terms=terms))
        assert refused.value.field == "terms.lines[0].unit_price.amount"
    terms.lines[0].unit_price.amount = "1.00"
    with pytest.raises(InvalidArgument) as refused:
        await quotes.CreateQuote(pb.CreateQuoteRequest(request_id=a_request_id(), terms=terms))
    assert refused.value.field == "terms.start_on"


async def test_a_page_token_of_another_list_is_refused(running: Running) -> None:
    finance = a_caller("finance")
    lists = (
        running.stub(CustomerServiceStub, caller=finance).ListCustomers(
            customer_service_pb2.ListCustomersRequest(page_token="bm9wZQ")
        ),
        running.stub(ContractServiceStub, caller=finance).ListContracts(
            contract_service_pb2.ListContractsRequest(page_token="WyJub3BlIl0")
        ),
        running.stub(RateCardServiceStub, caller=finance).ListRateCards(
            rate_card_service_pb2.ListRateCardsRequest(page_token="!")
        ),
    )
    for call in lists:
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert refused.value.field == "page_token"


async def test_a_refusal_reaches_the_caller_with_kind_code_field_and_advice(
    running: Running,
) -> None:
    finance = a_caller("finance")
    entities = running.stub(LegalEntityServiceStub, caller=finance)
    with pytest.raises(InvalidArgument) as refused:
        await entities.CreateLegalEntity(entity_request(time_zone="Mars/Olympus"))
    refusal = refused.value
    assert not isinstance(refusal, FailedPrecondition)
    assert (refusal.stable_code, refusal.field) == ("legal_entity.time_zone_unknown", "time_zone")
    assert refusal.advice == "send a name such as Europe/Berlin"
