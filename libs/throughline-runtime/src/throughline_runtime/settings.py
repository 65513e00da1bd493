"""What a process is told by its environment, read once and checked before anything starts."""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PRODUCTION: Final = "production"


class EnvironmentSettings(BaseSettings):
    """The base of every process's settings: the environment, then the files it names.

    Each value is `THROUGHLINE_<NAME>`, or is read from the file that `THROUGHLINE_<NAME>_FILE`
    names; the file's last line break is not part of the value. Files are meant for secrets.
    """

    model_config = SettingsConfigDict(
        env_prefix="THROUGHLINE_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the files it names; nothing else."""
        return init_settings, env_settings, _NamedFiles(settings_cls)


class Settings(EnvironmentSettings):
    """The settings of one service process; `peers` is a JSON object from service to gRPC target."""

    service: str
    # Without a value the strictest rules hold.
    environment: str = PRODUCTION
    log_level: str = "info"

    # `postgresql+asyncpg://` of the application role; the gateway has no database.
    database_url: str | None = Field(default=None, repr=False)
    database_owner_url: str | None = Field(default=None, repr=False)  # Only `migrate` uses it.
    database_pool_size: Annotated[int, Field(ge=4)] = 8

    nats_url: str
    nats_user: str
    nats_password: SecretStr
    # `http://host:8222` of each server, comma-separated: asked whether it syncs every message.
    nats_monitor_url: str | None = None
    require_durable_broker: bool = True

    grpc_address: str = "127.0.0.1:50051"
    http_address: str = "127.0.0.1:8080"
    # How long a server told to stop still answers; unset, 5 s in production, else not at all.
    leave_seconds: Annotated[float, Field(ge=0)] | None = None
    peers: dict[str, str] = Field(default_factory=dict)
    caller_key: SecretStr

    clock_file: Path | None = None
    otlp_endpoint: str | None = None
    # The drills' negative control: without the inbox they have to fail.
    inbox_disabled: bool = False

    @model_validator(mode="after")
    def _keep_production_safe(self) -> Self:
        if self.environment == PRODUCTION:
            if self.inbox_disabled:
                raise ValueError("inbox_disabled doubles money: it is for drills only")
            if not self.require_durable_broker:
                raise ValueError("require_durable_broker cannot be switched off in production")
        return self


class _NamedFiles(EnvSettingsSource):
    """Reads a value from the file that `<NAME>_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        _, key, is_complex = super().get_field_value(field, field_name)
        path = self.env_vars.get(f"{self.env_prefix}{field_name}_file".lower())
        value = None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        return value, key, is_complex
