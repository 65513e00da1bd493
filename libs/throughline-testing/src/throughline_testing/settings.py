"""The settings of a service under test."""

from typing import Any, Final

from throughline_runtime.settings import Settings

CALLER_KEY: Final = "the caller key of tests, long enough for HS256"

# Port 1 refuses connections: what a test did not ask for fails at once, and by its name.
_NOWHERE: Final[dict[str, Any]] = {
    "environment": "test",
    "database_url": "postgresql+asyncpg://nobody@127.0.0.1:1/no_database_asked_for",
    "nats_url": "nats://127.0.0.1:1",
    "nats_user": "nobody",
    "nats_password": "throwaway",
    "grpc_address": "127.0.0.1:0",
    "http_address": "127.0.0.1:0",
    "caller_key": CALLER_KEY,
}


def make_settings(service: str, **values: Any) -> Settings:
    """Return settings of a service that reach nothing but what `values` name."""
    return Settings(service=service, **_NOWHERE | values)
