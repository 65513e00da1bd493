"""What this service is told besides the settings every service has."""

from pydantic import Field

from throughline_runtime.settings import EnvironmentSettings


class ProvisioningSettings(EnvironmentSettings):
    """How paused runs go on by themselves."""

    recheck_minutes: float = Field(default=5, ge=0)
    """Minutes between two checks of a paused run; 0 leaves it to people."""
