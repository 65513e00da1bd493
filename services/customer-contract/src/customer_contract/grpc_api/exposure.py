"""What invoice-payment says customers owe; asked outside of any transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from customer_contract.domain.credit import Exposure
from customer_contract.domain.values import CustomerId
from customer_contract.wire.credit import read_exposures
from throughline.invoice_payment.v1 import receivable_service_pb2 as pb
from throughline.invoice_payment.v1.receivable_service_pb2_grpc import ReceivableServiceStub
from throughline_core.errors import Unavailable
from throughline_runtime.context import Context
from throughline_runtime.fields import read_instant
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.rpc.errors import PeerFault

# Whoever waits for a readiness check has a deadline of their own, of five seconds by default.
_ANSWER_SECONDS: Final = 2.0

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What customers owe, as read at an instant."""

    exposures: Mapping[CustomerId, Sequence[Exposure]]
    read_at: datetime


async def ask(context: Context, customer_ids: Collection[CustomerId]) -> Answer | None:
    """Return what the customers owe to the whole firm, None where invoice-payment is silent.

    That nobody answers is something to be told and retried, so it is an answer here.
    """
    # A limit holds over all legal entities, also where the one who asks sees only some.
    service = Caller.service(context.settings.service)
    stub = context.stub(ReceivableServiceStub, "invoice-payment")
    request = pb.GetExposureRequest(customer_ids=sorted(map(str, customer_ids)))
    try:
        with acting_as(service):
            response = await stub.GetExposure(request, timeout=_ANSWER_SECONDS)
    except (Unavailable, PeerFault) as error:
        _log.warning("exposure_unknown", reason=str(error))
        return None
    return Answer(read_exposures(response), read_instant("as_of", response.as_of))
