"""Traces over HTTP, gRPC, NATS and SQL: set-up, and the spans of the hops that are ours.

Trace ids exist and travel in every process; spans are recorded only where they are exported to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    DEFAULT_ON,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceState
from opentelemetry.util.types import Attributes
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime.telemetry.ids import ids_of_headers, shared_ids, working_on

_LINKS_MAX: Final = 128

tracer: Final = trace.get_tracer("throughline")


class _WhenExported(Sampler):
    """Records nothing until there is somewhere to send it, then everything its parent records."""

    def __init__(self) -> None:
        self.exports = False

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        chosen = DEFAULT_ON if self.exports else ALWAYS_OFF
        return chosen.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return "WhenExported"


_sampler: Final = _WhenExported()


def configure(
    service: str, role: str, environment: str, *, otlp_endpoint: str | None = None
) -> None:
    """Give the process its tracer provider; spans go to `otlp_endpoint` (OTLP over HTTP) if given.

    Once for each process: OpenTelemetry keeps the first provider.
    """
    resource = Resource.create(
        {
            "service.namespace": "throughline",
            "service.name": service,
            "throughline.role": role,
            "deployment.environment.name": environment,
        }
    )
    trace.set_tracer_provider(TracerProvider(resource=resource, sampler=_sampler))
    if otlp_endpoint is not None:
        exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
        _provider().add_span_processor(BatchSpanProcessor(exporter))
        _sampler.exports = True


def export_to(exporter: SpanExporter) -> None:
    """Send each finished span to `exporter` at once: for tests and for a look on one machine."""
    _provider().add_span_processor(SimpleSpanProcessor(exporter))
    _sampler.exports = True


def shutdown() -> None:
    """Send what is still buffered."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _provider() -> TracerProvider:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        raise RuntimeError("call tracing.configure first")
    return provider


def trace_sql(engine: AsyncEngine) -> None:
    """Give each statement of the engine a span; the last engine named is the one traced.

    The instrumentation's own check does not know SQLAlchemy 2.1 and would do nothing, silently.
    """
    if not _sampler.exports:
        return
    instrumentor = SQLAlchemyInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    instrumentor.instrument(engine=engine.sync_engine, skip_dep_check=True)


def sql_span(statement: str) -> AbstractContextManager[object]:
    """Return the span of a statement that goes to the driver directly, where spans are exported."""
    if not _sampler.exports:
        return nullcontext()
    words = statement.split(maxsplit=1)
    return open_span(
        words[0],
        SpanKind.CLIENT,
        attributes={"db.system": "postgresql", "db.statement": statement},
    )


def inject() -> dict[str, str]:
    """Return the headers (`traceparent`, `tracestate`) that carry this trace to the next hop."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def trace_id() -> str:
    """Return the present trace's id in hex, empty outside a trace."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


@contextmanager
def open_span(
    name: str,
    kind: SpanKind,
    *,
    parent: Context | None = None,
    links: Sequence[Link] = (),
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[Span]:
    """Open a span that fails with the class of what passes through it, never with its text."""
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        links=links,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


@contextmanager
def consume_span(subject: str, headers_list: Sequence[Mapping[str, str]]) -> Iterator[Span]:
    """Open the span of a batch of messages, and put on its logs the ids they all share.

    A batch of one trace continues it; a batch of several starts a trace of its own that links to
    each, because a span has one parent only.
    """
    origins = {
        (context.trace_id, context.span_id): (remote, context)
        for remote, context in map(_origin, headers_list)
        if context.is_valid
    }
    traces = {context.trace_id for _, context in origins.values()}
    parent = next(iter(origins.values()))[0] if len(traces) == 1 else Context()
    links = [Link(context) for _, context in origins.values()] if len(origins) > 1 else []
    with (
        open_span(
            f"consume {subject}",
            SpanKind.CONSUMER,
            parent=parent,
            links=links[:_LINKS_MAX],
            attributes={
                "messaging.system": "nats",
                "messaging.destination.name": subject,
                "messaging.batch.message_count": len(headers_list),
            },
        ) as span,
        working_on(shared_ids(map(ids_of_headers, headers_list))),
    ):
        yield span


def _origin(headers: Mapping[str, str]) -> tuple[Context, SpanContext]:
    remote = propagate.extract(headers, context=Context())
    return remote, trace.get_current_span(remote).get_span_context()
