"""One trace goes on over every hop; a batch of several traces links to each."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from throughline_runtime.telemetry import metrics, tracing
from throughline_runtime.telemetry.ids import current_ids, shared_ids


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        tracing.configure("billing-event", "consume", "test")
    exporter = InMemorySpanExporter()
    tracing.export_to(exporter)
    yield exporter
    exporter.shutdown()


def published_under_one_trace() -> dict[str, str]:
    with tracing.open_span("publish", SpanKind.PRODUCER, parent=Context()):
        return tracing.inject()


def test_what_is_injected_names_the_span_that_is_open(spans: InMemorySpanExporter) -> None:
    with tracing.open_span("command", SpanKind.SERVER, parent=Context()) as span:
        headers = tracing.inject()
        assert tracing.trace_id() == f"{span.get_span_context().trace_id:032x}"

    assert tracing.trace_id() in {"", headers["traceparent"].split("-")[1]}
    [command] = spans.get_finished_spans()
    assert headers["traceparent"].split("-")[2] == f"{command.context.span_id:016x}"


def test_a_batch_of_one_trace_continues_it(spans: InMemorySpanExporter) -> None:
    headers = published_under_one_trace()

    with tracing.consume_span("billing_event.rated.v1", [headers, dict(headers)]):
        pass

    publish, consume = spans.get_finished_spans()
    assert consume.parent is not None
    assert consume.parent.span_id == publish.context.span_id
    assert consume.context.trace_id == publish.context.trace_id
    assert consume.kind is SpanKind.CONSUMER


def test_a_batch_of_several_traces_links_to_each(spans: InMemorySpanExporter) -> None:
    batch = [published_under_one_trace() for _ in range(3)]

    with tracing.consume_span("billing_event.rated.v1", batch):
        pass

    *published, consume = spans.get_finished_spans()
    assert consume.parent is None
    assert {link.context.trace_id for link in consume.links} == {
        span.context.trace_id for span in published
    }


@pytest.mark.parametrize("headers", [{}, {"traceparent": "rubbish"}])
def test_messages_without_a_trace_begin_one(
    spans: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    with tracing.consume_span("billing_event.rated.v1", [headers]) as span:
        assert span.get_span_context().is_valid

    [consume] = spans.get_finished_spans()
    assert consume.parent is None
    assert not consume.links


def test_a_batch_works_on_the_ids_all_its_messages_share(spans: InMemorySpanExporter) -> None:
    batch = [
        {"engagement-id": "e-1", "correlation-id": "c-1"},
        {"engagement-id": "e-1", "correlation-id": "c-2"},
    ]
    with tracing.consume_span("billing_event.rated.v1", batch):
        assert current_ids() == {"engagement_id": "e-1"}

    assert current_ids() == {}
    [consume] = spans.get_finished_spans()
    assert consume.attributes is not None
    assert consume.attributes["throughline.engagement_id"] == "e-1"


def test_an_id_that_one_message_lacks_is_not_shared() -> None:
    assert shared_ids([{"engagement_id": "e-1"}, {}]) == {}
    assert shared_ids([]) == {}


def test_a_failed_span_tells_the_class_of_the_failure_and_not_its_text(
    spans: InMemorySpanExporter,
) -> None:
    with pytest.raises(ValueError, match="Jane"), tracing.consume_span("a.b.c.v1", []):
        raise ValueError("Jane Doe")

    [consume] = spans.get_finished_spans()
    assert (consume.status.status_code, consume.status.description) == (
        StatusCode.ERROR,
        "ValueError",
    )
    assert not consume.events


def test_a_domain_gauge_is_one_gauge_however_often_it_is_asked_for() -> None:
    gauge = metrics.domain_gauge("probed_amount", "A gauge that no service has.", ["currency"])
    again = metrics.domain_gauge("probed_amount", "A gauge that no service has.", ["currency"])

    assert again is gauge
    with pytest.raises(ValueError, match="snake_case"):
        metrics.domain_gauge("Unbilled-Amount", "No.")
