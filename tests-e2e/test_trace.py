"""One trace goes through HTTP, gRPC, SQL and NATS, from the request to the last consumer."""

import httpx
from e2e_platform import Platform
from e2e_traces import TraceReceiver

from throughline_cli.commands.token import mint
from throughline_cli.stack.secrets import Subject
from throughline_cli.story.told import Told

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_request_can_be_followed_from_the_edge_to_the_reports(
    platform: Platform, told: Told, traces: TraceReceiver
) -> None:
    bearer = mint(platform.layout, Subject("petra.pmo", ("pmo",)), lifetime_seconds=600)
    task = next(t for t in told.projects["US01"]["tasks"] if t["billable"])
    reply = httpx.post(
        f"{platform.url}/v1/time-entries:batch",
        json={
            "rows": [
                {
                    "person_id": told.people["Caleb Ross"],
                    "task_id": task["task_id"],
                    "work_date": "2026-10-05",
                    "minutes": 60,
                    "note": "Traced",
                }
            ],
            "partial": False,
            "approved": True,
        },
        headers={
            "authorization": f"Bearer {bearer}",
            "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
        },
    )
    assert reply.status_code == 200, reply.text
    assert reply.headers["trace-id"] == TRACE

    services = {"gateway", "project-provisioning", "billing-event", "invoice-payment", "reporting"}
    spans = traces.wait_for(TRACE, services)

    assert services <= {span.service for span in spans}
    names = {(span.service, span.name.split()[0]) for span in spans}
    assert ("project-provisioning", "INSERT") in names
    assert ("billing-event", "consume") in names
    by_id = {span.span_id for span in spans}
    assert all(
        span.parent_id in by_id or span.parent_id == "b7ad6b7169203331" or span.links
        for span in spans
        if span.parent_id
    )
