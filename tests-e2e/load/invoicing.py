"""The month end: from released entries to drafts, and from approval to issued invoices."""

import asyncio
import time
from typing import Final

from e2e_deals import LAST_DAY
from e2e_rest import Rest

from load.figures import Figure
from throughline_cli.api import Document

_WAIT_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.02


async def run_invoices(rest: Rest, entity_id: str) -> list[Figure]:
    """Draft, approve and issue everything there is, and measure the first and the last."""
    started = time.perf_counter()
    reply = await rest.post(
        "finance", "/v1/invoice-runs", {"legal_entity_id": entity_id, "cut_off": LAST_DAY}
    )
    path = f"/v1/invoice-runs/{reply['run']['run_id']}"
    drafted = await _reach(rest, path, "drafted")
    drafting_seconds = time.perf_counter() - started
    await rest.post("controller", f"{path}:approve", {})
    await _reach(rest, path, "approved")
    started = time.perf_counter()
    await rest.post("finance", f"{path}:issue", {})
    issued = await _reach(rest, path, "issued")
    issuing_seconds = time.perf_counter() - started
    items = int(drafted["progress"]["items_claimed"])
    invoices = int(issued["progress"]["invoices_issued"])
    assert items, "there was nothing to invoice"
    return [
        Figure("invoice run to drafts", items / drafting_seconds, "entries/s", aim=10_000),
        Figure(
            f"issue, {items // invoices} entries each",
            invoices / issuing_seconds,
            "invoices/s",
            aim=200,
        ),
    ]


async def _reach(rest: Rest, path: str, status: str) -> Document:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        run: Document = (await rest.get("finance", path))["run"]
        if run["status"] == status:
            return run
        assert time.monotonic() < deadline, f"the run is {run['status']}, not {status}"
        await asyncio.sleep(_LOOK_SECONDS)
