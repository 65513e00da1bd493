"""Delegations as messages."""

from typing import Final

from project_provisioning.domain.delegation import Delegation, DelegationScope
from throughline.project_provisioning.v1 import delegation_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_date, write_instant

SCOPES: Final = EnumMap(pb.DelegationScope, DelegationScope)


def write_delegation(delegation: Delegation) -> pb.Delegation:
    """Return who decides in whose place."""
    entity = delegation.legal_entity_id
    return pb.Delegation(
        delegation_id=str(delegation.delegation_id),
        version=delegation.version,
        delegator=delegation.delegator,
        delegate=delegation.delegate,
        scope=SCOPES.write(delegation.scope),
        legal_entity_id=None if entity is None else str(entity),
        starts_on=write_date(delegation.starts_on),
        ends_on=write_date(delegation.ends_on),
        reason=delegation.reason,
        created_by=delegation.created_by,
        created_at=write_instant(delegation.created_at),
        revoked_by=delegation.revoked_by,
        revoked_at=write_instant(delegation.revoked_at),
    )
