"""The ASGI application: routes, error handlers, documentation, telemetry."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from gateway import problems
from gateway.edge import Edge
from gateway.routes import derived, documents, index, operations, reference, webhooks
from gateway.telemetry import Telemetry
from throughline_core.errors import Refusal
from throughline_runtime.rpc.errors import PeerFault


def make_app(edge: Edge) -> FastAPI:
    """Return the application over the given parts; who made them closes them."""
    app = FastAPI(
        # The contract describes more than the framework could find out.
        openapi_url=None,
        redirect_slashes=False,
        # Its spans would name query strings; ours come with the log and the metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.edge = edge
    for routes in (webhooks, documents, operations, derived, reference):
        routes.mount(app)
    index.mount(app)
    app.add_exception_handler(Refusal, problems.handle_refusal)
    app.add_exception_handler(PeerFault, problems.handle_fault)
    app.add_exception_handler(HTTPException, problems.handle_http)
    app.add_middleware(Telemetry, pseudonym_key=edge.pseudonym_key)
    return app
