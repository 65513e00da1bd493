"""An approval is announced in as few events as their limits allow, and no entry is lost."""

from project_provisioning_builders import AT, a_row, an_id, columns, facts

from project_provisioning.domain.time_entry import judge
from project_provisioning.wire.time import write_entry, write_time_approved
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import TimeApproved
from throughline.project_provisioning.v1.work_pb2 import TimeEntry
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX


def entries(count: int, note: str = "Workshop") -> list[TimeEntry]:
    rows = [
        a_row(entry_id=f"entry {number}", minutes=1, note=note, allow_duplicate=True)
        for number in range(count)
    ]
    ruling = judge(columns(*rows), facts())
    sheets = {
        (entry.worker.person_id, entry.stretch.legal_entity_id, entry.week_start): str(an_id("141"))
        for entry in ruling.entries
    }
    return [write_entry(entry, sheets) for entry in ruling.entries]


def approved(count: int, note: str = "Workshop") -> list[TimeApproved]:
    events = write_time_approved(an_id("161"), entries(count, note), by="user:paula.pmo", at=AT)
    messages = [event.message for event in events]
    assert all(isinstance(message, TimeApproved) for message in messages)
    return [message for message in messages if isinstance(message, TimeApproved)]


def test_an_event_holds_at_most_500_entries() -> None:
    assert [len(event.entries) for event in approved(1203)] == [500, 500, 203]


def test_an_event_is_never_larger_than_the_outbox_takes() -> None:
    events = approved(600, note="ÄÖÜ€" * 125)

    assert all(event.ByteSize() < PAYLOAD_BYTES_MAX for event in events)
    assert [each.time_entry_id for event in events for each in event.entries] == [
        f"entry {number}" for number in range(600)
    ]


def test_each_event_of_a_decision_has_an_id_of_its_own_and_the_same_one_each_time() -> None:
    first, again = approved(1203), approved(1203)

    assert len({event.approval_id for event in first}) == 3
    assert first == again
