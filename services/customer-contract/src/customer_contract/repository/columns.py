"""Values that several tables spread over columns."""

from typing import Any

from sqlalchemy import Row

from customer_contract.domain.values import PostalAddress, SourceRef


def address_from(row: Row[Any]) -> PostalAddress:
    return PostalAddress(
        lines=tuple(row.address_lines),
        city=row.city,
        postal_code=row.postal_code,
        region=row.region,
        country=row.country,
    )


def address_columns(address: PostalAddress) -> dict[str, object]:
    return {
        "address_lines": list(address.lines),
        "city": address.city,
        "postal_code": address.postal_code,
        "region": address.region,
        "country": address.country,
    }


def source_from(row: Row[Any]) -> SourceRef | None:
    if row.source_system is None:
        return None
    return SourceRef(row.source_system, row.source_type, row.source_id)


def source_columns(source: SourceRef | None) -> dict[str, str | None]:
    return {
        "source_system": source.system if source else None,
        "source_type": source.object_type if source else None,
        "source_id": source.object_id if source else None,
    }
