"""JSON logs on standard output: a fixed event name, ids and the trace, never personal data."""

import logging
import sys
import traceback
from types import TracebackType
from typing import Final, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

_MESSAGE_LENGTH_MAX: Final = 200
_FRAMES_MAX: Final = 30
# The texts of these errors quote rows, parameters or whole inputs.
_TELL_TALES: Final = ("sqlalchemy", "asyncpg", "pydantic", "pydantic_core")
_CHATTY: Final = (
    "asyncio",
    "opentelemetry",
    "grpc",
    "nats",
    "alembic",
    "sqlalchemy.engine",
    "httpx",
    "stripe",
)


def configure(service: str, role: str, level: str, *, stream: TextIO | None = None) -> None:
    """Send all logs of the process, its libraries' too, to `stream`, one JSON object a line.

    Raises:
        ValueError: there is no such level.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Origin(service, role),
        _add_trace,
        _render_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(_level(level)),
        # One write a line: several processes may share the stream.
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_level(level))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(_level(level), logging.WARNING))


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise ValueError(f"{name} is no log level")
    return level


class _Origin:
    """Adds the service and the role to each line."""

    def __init__(self, service: str, role: str) -> None:
        self._fields = {"service": service, "role": role}

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        return {**self._fields, **event_dict}


def _add_trace(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event_dict["trace_id"] = trace.format_trace_id(context.trace_id)
        event_dict["span_id"] = trace.format_span_id(context.span_id)
    return event_dict


def _render_exception(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    info = event_dict.pop("exc_info", None)
    error = _exception_of(info)
    if error is not None:
        event_dict["exception"] = describe_exception(error)
    return event_dict


def _exception_of(info: ExcInfo | BaseException | bool | None) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1]
    return sys.exc_info()[1] if info else None


def describe_exception(error: BaseException) -> list[dict[str, object]]:
    """Return the chain of exceptions, outermost first: class, place, and text where harmless."""
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        chain.append(_describe_one(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _describe_one(error: BaseException) -> dict[str, object]:
    kind = type(error)
    described: dict[str, object] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if kind.__module__.partition(".")[0] in _TELL_TALES:
        for detail in ("sqlstate", "constraint_name", "table_name"):
            value = getattr(error, detail, None)
            if value:
                described[detail] = str(value)
    else:
        described["message"] = str(error).partition("\n")[0][:_MESSAGE_LENGTH_MAX]
    if isinstance(error, BaseExceptionGroup):
        described["exceptions"] = [describe_exception(inner) for inner in error.exceptions]
    described["frames"] = _frames(error.__traceback__)
    return described


def _frames(trace_back: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace_back)[-_FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
