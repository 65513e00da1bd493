"""What the gateway is told by its environment; it has no database and no broker."""

from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator

from gateway.workers import WorkerSockets
from throughline_runtime.settings import PRODUCTION, EnvironmentSettings

LEAVE_SECONDS_IN_PRODUCTION: Final = 5.0


class GatewaySettings(EnvironmentSettings):
    """The settings of one gateway process; `peers` is a JSON object from service to gRPC target."""

    environment: str = PRODUCTION
    log_level: str = "info"
    # Where clients connect, and where probes and Prometheus do.
    listen_address: str = "127.0.0.1:8000"
    http_address: str = "127.0.0.1:8080"
    # Processes that share `listen_address`.
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    # Set by the process that starts the workers.
    worker: WorkerSockets | None = None
    # How long a gateway told to stop still takes requests; see `leaves_within`.
    leave_seconds: Annotated[float, Field(ge=0, le=15)] | None = None

    peers: dict[str, str]
    caller_key: SecretStr
    token_issuer: str
    token_audience: str = "throughline"
    # A file or an https address.
    token_jwks: str
    otlp_endpoint: str | None = None
    # A token subject's requests in a minute, in each process.
    requests_per_minute: Annotated[int, Field(ge=1)] = 60_000
    body_bytes_max: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024

    @property
    def leaves_within(self) -> float:
        """Seconds for which the process still takes requests after it was told to stop."""
        if self.leave_seconds is not None:
            return self.leave_seconds
        return LEAVE_SECONDS_IN_PRODUCTION if self.environment == PRODUCTION else 0.0

    @field_validator("token_jwks")
    @classmethod
    def _keep_keys_authentic(cls, value: str) -> str:
        if "://" in value and not value.startswith("https://"):
            raise ValueError("must be a file or an https address")
        return value
