"""What a caller limited to legal entities is not told, and what no reader can break."""

import pytest

from reporting.grpc_api import PositionServicer, ReconciliationServicer
from throughline.reporting.v1 import position_service_pb2 as position_pb
from throughline.reporting.v1 import reconciliation_service_pb2 as reconciliation_pb
from throughline_core.errors import InvalidArgument
from throughline_runtime.context import Context
from throughline_runtime.identity import EntityForbidden, acting_as
from throughline_runtime.page import next_token
from throughline_testing.serving import a_caller

ID = "01980000-0000-7000-8000-0000000000e1"


async def test_sums_over_all_legal_entities_are_for_those_who_may_see_all(context: Context) -> None:
    with acting_as(a_caller("finance", entities=[])), pytest.raises(EntityForbidden):
        await ReconciliationServicer(context).Reconcile(reconciliation_pb.ReconcileRequest(), None)


@pytest.mark.parametrize("position", ["-1", "99999999999", "x"])
async def test_a_token_this_list_never_gave_out_is_refused(context: Context, position: str) -> None:
    request = position_pb.ListPositionsRequest(page_token=next_token(ID, position, ID))
    with acting_as(a_caller("finance")), pytest.raises(InvalidArgument):
        await PositionServicer(context).ListPositions(request, None)
