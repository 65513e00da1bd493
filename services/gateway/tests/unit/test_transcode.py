"""JSON becomes a message and comes back as it was, and nothing that is not in the contract does."""

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import TypeAdapter, ValidationError

from gateway.contract import RestMethod, message_class, rest_methods
from gateway.examples import example_of
from gateway.transcode import encoder_of, enum_words, reply_type_of, shape_of
from throughline.customer_contract.v1 import quote_service_pb2 as quotes
from throughline.invoice_payment.v1 import payment_service_pb2 as payments
from throughline.project_provisioning.v1 import document_pb2
from throughline.project_provisioning.v1 import time_service_pb2 as time

UUID = "01980000-0000-7000-8000-000000000131"


def read(message: Any, fields: dict[str, Any], *without: str) -> Any:
    """Return the message that a JSON body stands for."""
    sent = json.loads(json.dumps(fields))
    return message(**shape_of(message.DESCRIPTOR, without).validate_python(sent))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def flaws(message: Any, fields: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the place and the rule of each flaw of a body."""
    with pytest.raises(ValidationError) as caught:
        read(message, fields, "request_id")
    return {(".".join(map(str, row["loc"])), row["type"]) for row in caught.value.errors()}


@pytest.mark.parametrize("method", rest_methods(), ids=lambda method: method.name)
def test_every_request_comes_back_as_it_was_sent(method: RestMethod) -> None:
    example = example_of(method.request, without=method.taken)

    fields = shape_of(method.request, method.taken).validate_python(example)
    message = message_class(method.request)(**fields)

    received = message_class(method.request).FromString(message.SerializeToString())
    encoded = encoder_of(method.request)(received)
    assert without_nulls(encoded | dict.fromkeys(method.taken)) == example


@pytest.mark.parametrize("method", rest_methods(), ids=lambda method: method.name)
def test_every_reply_is_as_it_is_described(method: RestMethod) -> None:
    fields = shape_of(method.response).validate_python(example_of(method.response))
    message = message_class(method.response)(**fields)

    for reply in (message, message_class(method.response)()):
        encoded = encoder_of(method.response)(reply)
        described: TypeAdapter[Any] = TypeAdapter(reply_type_of(method.response))
        assert described.validate_python(encoded, strict=True) == encoded
        assert list(encoded) == [field.name for field in method.response.fields]


def an_entry(**changes: Any) -> dict[str, Any]:
    return {
        "person_id": UUID,
        "task_id": UUID,
        "work_date": "2026-09-07",
        "minutes": 480,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "place", "rule"),
    [
        ({"minutes": 480.0}, "minutes", "int_type"),
        ({"minutes": "480"}, "minutes", "int_type"),
        ({"minutes": True}, "minutes", "int_type"),
        ({"minutes": None}, "minutes", "int_type"),
        ({"minutes": 1441}, "minutes", "less_than_equal"),
        ({"minutes": -60}, "minutes", "greater_than_equal"),
        ({"minutes": 2**63}, "minutes", "less_than_equal"),
        ({"person_id": "Ada"}, "person_id", "string_pattern_mismatch"),
        ({"work_date": "07.09.2026"}, "work_date", "string_pattern_mismatch"),
        ({"work_date": 20260907}, "work_date", "string_type"),
        ({"note": "x" * 501}, "note", "string_too_long"),
        ({"billable": "true"}, "billable", "bool_type"),
        ({"source": []}, "source", "dict_type"),
        ({"source": {"system": "harvest"}}, "source.object_id", "missing"),
        ({"hours": 8}, "hours", "extra_forbidden"),
        ({"request_id": "k"}, "request_id", "extra_forbidden"),
    ],
)
def test_a_field_of_another_shape_is_named_with_the_rule_it_breaks(
    changes: dict[str, Any], place: str, rule: str
) -> None:
    assert (place, rule) in flaws(time.CreateTimeEntryRequest, an_entry(**changes))


@pytest.mark.parametrize(
    ("amount", "rule"),
    [
        (1250.0, "string_type"),
        (1250, "string_type"),
        ("1250.1234567", "string_pattern_mismatch"),
        ("1,250.00", "string_pattern_mismatch"),
        ("1e3", "string_pattern_mismatch"),
        ("NaN", "string_pattern_mismatch"),
        ("+1", "string_pattern_mismatch"),
        ("", "string_pattern_mismatch"),
        ("\uff11\uff12", "string_pattern_mismatch"),
    ],
)
def test_an_amount_is_a_plain_decimal_text(amount: Any, rule: str) -> None:
    payment = {"amount": {"amount": amount, "currency": "EUR"}}

    assert ("amount.amount", rule) in flaws(payments.RecordPaymentRequest, payment)


def test_enums_are_their_words_and_nothing_else() -> None:
    assert enum_words(time.TimesheetStatus.DESCRIPTOR) == {
        "draft": 1,
        "submitted": 2,
        "approved": 3,
        "rejected": 4,
    }
    for word in ("APPROVED", "TIMESHEET_STATUS_APPROVED", "unspecified", 3, ""):
        assert ("status", "literal_error") in flaws(time.ListTimesheetsRequest, {"status": word})


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2026-09-30T12:00:00.123456Z", 1_790_769_600, 123_456_000),
        ("2026-09-30T14:00:00+02:00", 1_790_769_600, 0),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
    ],
)
def test_instants_are_exact_on_both_sides_of_1970(text: str, seconds: int, nanos: int) -> None:
    approval = read(quotes.ExternalApproval, {"approver": "ada", "approved_at": text})

    assert approval.approved_at == Timestamp(seconds=seconds, nanos=nanos)


@pytest.mark.parametrize(
    "text",
    ["2026-09-30", "2026-09-30T12:00:00", "20260930T120000Z", "2026-02-30T12:00:00Z", "now", ""],
)
def test_an_instant_without_its_offset_is_none(text: str) -> None:
    approval = {"approver": "ada", "approved_at": text}

    assert flaws(quotes.ExternalApproval, approval) == {("approved_at", "value_error")}


@pytest.mark.parametrize("text", ["2026-09-30T12:00:00.123Z", "2026-09-30T12:00:00.123456Z"])
def test_an_instant_keeps_its_digits(text: str) -> None:
    approval = read(quotes.ExternalApproval, {"approver": "ada", "approved_at": text})

    assert encoder_of(quotes.ExternalApproval.DESCRIPTOR)(approval)["approved_at"] == text


def test_bytes_are_base64_and_no_longer_than_allowed() -> None:
    receipt = {"content_type": "image/png", "content": "iVBORw0KGgo="}
    assert read(document_pb2.Document, receipt).content == b"\x89PNG\r\n\x1a\n"

    for content in ("iVBOR", "iVBO Rw0K", "é"):
        assert flaws(document_pb2.Document, {**receipt, "content": content}) == {
            ("content", "value_error")
        }


def test_absent_optional_fields_are_null_and_may_be_sent_back_so() -> None:
    row = read(time.TimeEntryRow, an_entry())
    encoded = encoder_of(time.TimeEntryRow.DESCRIPTOR)(row)

    assert encoded["source"] is None
    assert encoded["billable"] is None
    assert read(time.TimeEntryRow, encoded) == row


def test_an_optional_flag_that_is_false_is_not_absent() -> None:
    row = read(time.TimeEntryRow, an_entry(billable=False))

    assert row.HasField("billable")
    assert encoder_of(time.TimeEntryRow.DESCRIPTOR)(row)["billable"] is False


def test_rows_that_their_owner_checks_pass_with_values_it_will_refuse() -> None:
    bad = {"source": {"system": "", "object_id": "1"}, "minutes": -5, "person_id": "Ada"}

    batch = read(time.ImportTimeEntriesRequest, {"rows": [bad]}, "request_id")

    assert [row.minutes for row in batch.rows] == [-5]


def test_rows_of_another_type_are_named_by_their_place() -> None:
    rows = [an_entry(), an_entry(minutes="8h"), an_entry(hours=8)]

    assert flaws(time.ImportTimeEntriesRequest, {"rows": rows}) == {
        ("rows.1.minutes", "int_type"),
        ("rows.2.hours", "extra_forbidden"),
    }
