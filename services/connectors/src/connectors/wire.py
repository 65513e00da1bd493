"""Domain values as messages."""

import json

from connectors.domain import Connection, Link, SyncState
from throughline.common.v1 import source_pb2
from throughline.connectors.events.v1 import connectors_events_pb2 as events_pb
from throughline.connectors.v1 import connection_service_pb2 as pb
from throughline.connectors.v1 import crosswalk_pb2
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import write_id, write_instant


def write_connection(connection: Connection) -> pb.Connection:
    return pb.Connection(
        name=connection.name,
        vendor=connection.vendor,
        base_url=connection.base_url,
        client_id=connection.client_id,
        secret_ref=connection.secret_ref,
        enabled=connection.enabled,
        legal_entity_id=write_id(connection.legal_entity_id),
        mapping_json=json.dumps(connection.mapping, sort_keys=True) if connection.mapping else "",
        poll_seconds=connection.poll_seconds,
        version=connection.version,
    )


def write_sync_state(state: SyncState) -> pb.SyncState:
    return pb.SyncState(
        read_up_to=write_instant(state.read_up_to),
        last_started_at=write_instant(state.last_started_at),
        last_finished_at=write_instant(state.last_finished_at),
        imported=state.imported,
        unchanged=state.unchanged,
        refused=state.refused,
        last_error=state.last_error,
    )


def write_linked(link: Link) -> Outgoing:
    """Return the event that tells of a new link."""
    return Outgoing(
        message=events_pb.CrosswalkLinked(
            link=crosswalk_pb2.CrosswalkLink(
                crosswalk_link_id=str(link.link_id),
                source=source_pb2.SourceRef(
                    system=link.system,
                    object_type=link.object_type,
                    object_id=link.source_object_id,
                ),
                object_kind=link.object_kind,
                object_id=str(link.object_id),
            )
        ),
        aggregate_id=link.link_id,
        aggregate_version=1,
    )
