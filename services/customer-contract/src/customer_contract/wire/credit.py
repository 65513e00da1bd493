"""Messages of credit standing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from customer_contract.domain.credit import (
    Exposure,
    Override,
    OverrideStatus,
    Position,
    is_exceeded,
)
from customer_contract.domain.customer import Customer
from customer_contract.domain.values import CustomerId
from throughline.customer_contract.v1 import credit_service_pb2 as pb
from throughline.invoice_payment.v1 import receivable_service_pb2 as receivable_pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    EnumMap,
    read_money,
    read_uuid,
    write_date,
    write_instant,
    write_money,
)

OVERRIDE_STATUS: Final = EnumMap(pb.CreditOverrideStatus, OverrideStatus)


def read_exposures(
    response: receivable_pb.GetExposureResponse,
) -> Mapping[CustomerId, Sequence[Exposure]]:
    """Return what each customer owes, by currency."""
    return {
        CustomerId(read_uuid("customer_id", one.customer_id)): [
            Exposure(
                read_money("open_invoices", each.open_invoices),
                read_money("unbilled", each.unbilled, places=RATE_PLACES),
            )
            for each in one.exposures
        ]
        for one in response.customers
    }


def write_override(override: Override) -> pb.CreditOverride:
    return pb.CreditOverride(
        credit_override_id=str(override.credit_override_id),
        customer_id=str(override.customer_id),
        amount=write_money(override.amount),
        expires_on=write_date(override.expires_on),
        reason=override.reason,
        status=OVERRIDE_STATUS.write(override.status),
        proposed_by=override.proposed_by,
        proposed_at=write_instant(override.proposed_at),
        decided_by=override.decided_by,
        decided_at=write_instant(override.decided_at),
        revoked_reason=override.revoked_reason,
    )


def write_status(
    customer: Customer,
    standing: Sequence[Position],
    overrides: Iterable[Override],
    *,
    read_at: datetime | None,
) -> pb.GetCreditStatusResponse:
    """Return how the customer stands; `read_at` None says that its exposure is not known."""
    limit = customer.credit_limit
    return pb.GetCreditStatusResponse(
        customer_id=str(customer.customer_id),
        credit_limit=None if limit is None else write_money(limit),
        credit_hold=customer.on_credit_hold,
        credit_hold_reason=customer.credit_hold_reason or "",
        exposure_known=read_at is not None,
        positions=[
            pb.CreditPosition(
                allowed=write_money(one.allowed),
                open_invoices=write_money(one.open_invoices),
                unbilled=write_money(one.unbilled),
                available=write_money(one.available),
            )
            for one in standing
        ],
        exceeded=is_exceeded(standing),
        overrides=map(write_override, overrides),
        as_of=write_instant(read_at),
    )
