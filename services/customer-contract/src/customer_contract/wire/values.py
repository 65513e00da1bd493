"""The small messages that several aggregates share."""

from customer_contract.domain.values import PostalAddress, SourceRef
from throughline.common.v1 import address_pb2, source_pb2


def read_address(message: address_pb2.PostalAddress) -> PostalAddress:
    """Return the address as sent."""
    return PostalAddress(
        lines=tuple(message.lines),
        city=message.city,
        postal_code=message.postal_code,
        region=message.region,
        country=message.country,
    )


def write_address(address: PostalAddress) -> address_pb2.PostalAddress:
    return address_pb2.PostalAddress(
        lines=address.lines,
        city=address.city,
        postal_code=address.postal_code,
        region=address.region,
        country=address.country,
    )


def read_source(message: source_pb2.SourceRef) -> SourceRef | None:
    """Return the source, None where it is absent."""
    if not message.system:
        return None
    return SourceRef(message.system, message.object_type, message.object_id, message.object_version)


def write_source(source: SourceRef | None) -> source_pb2.SourceRef | None:
    """Return the source, None (an absent field) for None."""
    if source is None:
        return None
    return source_pb2.SourceRef(
        system=source.system,
        object_type=source.object_type,
        object_id=source.object_id,
        object_version=source.object_version,
    )
