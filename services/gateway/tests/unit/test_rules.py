"""What the contract's field rules become in JSON."""

import pytest
from google.protobuf.descriptor import FieldDescriptor

from gateway import rules
from throughline.common.v1 import address_pb2, money_pb2
from throughline.customer_contract.v1 import customer_service_pb2 as customers
from throughline.customer_contract.v1 import quote_pb2
from throughline.operations.v1 import operations_service_pb2 as operations
from throughline.project_provisioning.v1 import document_pb2
from throughline.project_provisioning.v1 import time_service_pb2 as time


def field(message: type, name: str) -> FieldDescriptor:
    found: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (money_pb2.Money, "amount"),  # its pattern refuses an empty text
        (address_pb2.PostalAddress, "city"),  # at least one character
        (address_pb2.PostalAddress, "lines"),  # at least one item
        (customers.GetCustomerRequest, "customer_id"),  # a UUID
        (time.CreateTimeEntryRequest, "minutes"),  # at least 1
        (quote_pb2.ServiceLine, "billing_model"),  # not unspecified
        (quote_pb2.ServiceLine, "unit_price"),  # required by name
        (document_pb2.Document, "content_type"),  # one of a list without the empty text
        (document_pb2.Document, "content"),  # at least one byte
    ],
)
def test_a_field_whose_zero_value_breaks_its_rules_has_to_be_sent(message: type, name: str) -> None:
    assert rules.is_required(field(message, name))


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (address_pb2.PostalAddress, "postal_code"),
        (operations.ListExceptionsRequest, "subject_id"),  # its rules ignore the zero value
        (time.ListTimeEntriesRequest, "person_id"),  # optional: absent is not empty
        (time.ListTimeEntriesRequest, "page_size"),
        (time.ApproveTimesheetsRequest, "timesheet_ids"),
        (time.TimeEntryRow, "person_id"),
    ],
)
def test_a_field_whose_zero_value_is_fine_may_be_left_out(message: type, name: str) -> None:
    assert not rules.is_required(field(message, name))


def test_a_text_that_may_be_left_out_may_also_be_empty() -> None:
    bounds = rules.text_bounds(field(operations.ListExceptionsRequest, "subject_id"))

    assert bounds["pattern"] == f"^$|{rules.UUID_PATTERN}"


def test_an_optional_text_that_is_sent_has_to_keep_its_rules() -> None:
    bounds = rules.text_bounds(field(time.ListTimeEntriesRequest, "person_id"))

    assert bounds["pattern"] == rules.UUID_PATTERN


def test_digits_are_those_of_ascii() -> None:
    bounds = rules.text_bounds(field(time.CreateTimeEntryRequest, "work_date"))

    assert bounds["pattern"] == "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def test_numbers_keep_to_their_rules_and_otherwise_to_their_type() -> None:
    assert rules.integer_bounds(field(time.CreateTimeEntryRequest, "minutes")) == {
        "ge": 1,
        "le": 1440,
    }
    assert rules.integer_bounds(field(time.TimeEntryRow, "minutes")) == {
        "ge": -(2**31),
        "le": 2**31 - 1,
    }


def test_lists_and_bytes_are_bounded() -> None:
    assert rules.list_bounds(field(time.ImportTimeEntriesRequest, "rows")) == {
        "min_length": 1,
        "max_length": 10_000,
    }
    assert rules.bytes_max(field(document_pb2.Document, "content")) == 5_000_000
    assert rules.text_choices(field(document_pb2.Document, "content_type")) == [
        "application/pdf",
        "image/png",
        "image/jpeg",
    ]


def test_rows_that_their_owner_checks_one_by_one_are_left_to_it() -> None:
    assert rules.is_ignored(field(time.ImportTimeEntriesRequest, "rows"))
    assert not rules.is_ignored(field(time.ApproveTimesheetsRequest, "timesheet_ids"))
