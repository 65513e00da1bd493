"""What all folds write alike: labels, days, and the records things came from."""

from datetime import date
from typing import Final

from reporting.domain import Kind, Link, Node, Rows, source_record_id
from throughline.billing_event.v1 import billing_event_pb2
from throughline.common.v1 import source_pb2
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.v1 import work_pb2

_LABEL_LENGTH_MAX: Final = 160


def add_source(
    rows: Rows,
    item: quote_pb2.ServiceLine
    | work_pb2.TimeEntry
    | work_pb2.ExpenseLine
    | billing_event_pb2.BillingEvent,
    kind: Kind,
    object_id: str,
) -> None:
    """Put the record of another system a thing came from before it on the chain."""
    if not item.HasField("source"):
        return
    source: source_pb2.SourceRef = item.source
    record_id = str(source_record_id(source.system, source.object_type, source.object_id))
    rows.nodes.append(
        Node(
            kind=Kind.SOURCE_RECORD,
            object_id=record_id,
            label=label(f"{source.system} {source.object_type} {source.object_id}"),
        )
    )
    rows.links.append(Link(Kind.SOURCE_RECORD, record_id, kind, object_id))


def label(text: str) -> str:
    """Return a text as short as a label may be."""
    return text[:_LABEL_LENGTH_MAX]


def day(text: str) -> date | None:
    """Return a date, None where there is none."""
    return date.fromisoformat(text) if text else None
