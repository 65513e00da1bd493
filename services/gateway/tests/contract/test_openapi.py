"""The description of the API is valid, complete, and true of what the gateway does."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from gateway_front import Issuer, make_settings
from jsonschema_rs import Draft202012Validator, Registry, meta

from gateway import openapi
from gateway.app import make_app
from gateway.contract import RestMethod, message_class, rest_methods
from gateway.examples import example_of
from gateway.main import make_edge
from gateway.sheets import columns_of
from gateway.transcode import shape_of
from throughline_runtime.rpc.validation import violations_of

ERRORS_OF_ALL = {"401", "403", "404", "409", "422", "429", "500", "503"}
BASE = "urn:openapi"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    return openapi.document(make_app(make_edge(make_settings(issuer, {}))))


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }


@pytest.fixture(scope="module")
def registry(document: dict[str, Any]) -> Registry:
    """Return what resolves references into the document."""
    return Registry([(BASE, document)])


def validator(registry: Registry, schema: dict[str, Any]) -> Draft202012Validator:
    """Return what checks values against a schema that points into the document."""
    return Draft202012Validator(absolute(schema), registry=registry)


def absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"{BASE}{value}" if key == "$ref" else absolute(value)
            for key, value in node.items()
        }
    return [absolute(item) for item in node] if isinstance(node, list) else node


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its path."""
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from nodes(value, f"{path}/{key}")


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for path, node in nodes(document):
        reference = node.get("$ref")
        if isinstance(reference, str):
            target: Any = document
            for step in reference.removeprefix("#/").split("/"):
                assert step in target, f"{path} points to {reference}"
                target = target[step]


def test_every_method_of_the_contract_is_described_once(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    assert {method.name for method in rest_methods()} < set(operations)
    assert len(operations) == sum(map(len, document["paths"].values()))
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    for operation in operations.values():
        assert all(tags.get(tag) for tag in operation["tags"]), operation["tags"]


def test_every_operation_says_what_it_does_and_how_it_fails(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, operation in operations.items():
        assert operation["summary"], name
        assert len(operation["description"].split()) > 5, name
        assert set(operation["responses"]) >= {"200", *ERRORS_OF_ALL}, name
        for parameter in operation["parameters"]:
            assert parameter["description"], (name, parameter["name"])
            assert "example" in parameter, (name, parameter["name"])


def test_every_failure_is_a_problem(document: dict[str, Any], registry: Registry) -> None:
    for status, response in document["components"]["responses"].items():
        assert response["description"], status
        schema = response["content"]["application/problem+json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}
    problem = document["components"]["schemas"]["Problem"]
    validator(registry, problem).validate(problem["examples"][0])


def test_every_schema_and_every_property_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for path, node in nodes(schema, name):
            for field, described in node.get("properties", {}).items():
                # One that says no more than its type leaves it to the type.
                assert {"description", "$ref"} & set(described), f"{path}.{field}"


def test_requests_refuse_what_they_do_not_know(document: dict[str, Any]) -> None:
    for name in ("CreateTimeEntryRequest", "Money-Input", "PostalAddress-Input"):
        assert document["components"]["schemas"][name]["additionalProperties"] is False
    # A client must not break when a reply learns a field.
    assert "additionalProperties" not in document["components"]["schemas"]["Money-Output"]


def test_every_body_has_an_example_that_its_schema_admits(
    registry: Registry, operations: dict[str, dict[str, Any]]
) -> None:
    for name, operation in operations.items():
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            described = content["application/json"]
            validator(registry, described["schema"]).validate(described["example"])
            assert described["example"] is not None, name


def test_every_reply_has_an_example_that_its_schema_admits(
    registry: Registry, operations: dict[str, dict[str, Any]]
) -> None:
    for method in rest_methods():
        described = operations[method.name]["responses"]["200"]["content"]["application/json"]
        validator(registry, described["schema"]).validate(described["example"])


def test_an_example_shows_what_the_contract_declares_of_fields_that_have_to_fit(
    operations: dict[str, dict[str, Any]],
) -> None:
    def example(name: str) -> Any:
        return operations[name]["requestBody"]["content"]["application/json"]["example"]

    assert example("PutExchangePolicy") == {
        "rule": "fixed",
        "source": "",
        "fixed_rates": [{"base": "USD", "quote": "EUR", "rate": "0.92"}],
    }
    assert set(example("StartReleaseRun")["scope"]) == {"contract_id", "through_date", "types"}
    assert example("ProposeAdjustment")["reason_code"] == "goodwill"


def test_every_parameters_example_is_one(
    registry: Registry, operations: dict[str, dict[str, Any]]
) -> None:
    for operation in operations.values():
        for parameter in operation["parameters"]:
            validator(registry, parameter["schema"]).validate(parameter["example"])


@pytest.mark.parametrize("method", rest_methods(), ids=lambda method: method.name)
def test_every_example_keeps_the_contracts_own_rules(method: RestMethod) -> None:
    example = example_of(method.request)

    message = message_class(method.request)(**shape_of(method.request).validate_python(example))

    assert violations_of(message) == ()


def test_batches_may_be_sent_as_lines(operations: dict[str, dict[str, Any]]) -> None:
    content = operations["ImportTimeEntries"]["requestBody"]["content"]

    assert "rows" in content["application/x-ndjson"]["schema"]["description"]


def test_refusals_stand_in_a_paragraph_of_their_own(operations: dict[str, dict[str, Any]]) -> None:
    text = operations["CreateTimeEntry"]["description"]

    assert "\n\nRefuses: request.invalid_field" in text
    assert "Scope `time.write`; roles: consultant, integration, pmo." in text


def test_commands_take_a_key_and_questions_do_not(operations: dict[str, dict[str, Any]]) -> None:
    def headers(name: str) -> set[str]:
        return {
            parameter["name"]
            for parameter in operations[name]["parameters"]
            if parameter["in"] == "header"
        }

    assert headers("ActivateContract") == headers("ReplayParked") == {"Idempotency-Key"}
    assert headers("ListContracts") == headers("PreviewInvoiceRun") == set()


def test_a_list_is_described_as_a_sheet_of_unique_columns(
    operations: dict[str, dict[str, Any]],
) -> None:
    sheets_of = [method for method in rest_methods() if method.sheet is not None]
    assert {"GetWip", "ListHolds", "ListBillingEvents", "ListLimitEntries"} <= {
        method.name for method in sheets_of
    }
    for method in sheets_of:
        reply = operations[method.name]["responses"]["200"]
        assert "link" in reply["headers"]
        text = reply["content"]["text/csv"]["schema"]["description"]
        assert "olumns: " in text
        if method.sheet is not None and method.sheet.message_type is not None:
            names = [column.name for column in columns_of(method.sheet.message_type)]
            assert len(names) == len(set(names)), method.path
            assert text.endswith(f"Columns: {', '.join(names)}.")
