"""What connectors are told besides the settings every service has."""

from pathlib import Path
from typing import Final

from connectors.domain import SecretMissing
from throughline_runtime.settings import EnvironmentSettings

_WEBHOOK_SUFFIX: Final = "-webhook"


class ConnectorSettings(EnvironmentSettings):
    """Where the deployment's secrets for outside systems are: one file each, named by its ref.

    Read anew for each use, so that a rotated secret is only a changed file.
    """

    secrets_dir: Path = Path("/run/secrets/throughline")

    def secret(self, ref: str) -> str:
        """Return a secret.

        Raises:
            SecretMissing: there is no such file.
        """
        return self._read(ref)

    def webhook_secrets(self, ref: str) -> list[str]:
        """Return the live signing secrets of a vendor's callbacks: one a line, two while rotating.

        Raises:
            SecretMissing: there is no such file.
        """
        return [line.strip() for line in self._read(ref + _WEBHOOK_SUFFIX).splitlines() if line]

    def _read(self, ref: str) -> str:
        # A ref is a plain name; anything that could climb out of the folder is not one.
        path = self.secrets_dir / ref
        if not ref or path.parent != self.secrets_dir or not path.is_file():
            raise SecretMissing(
                f"there is no secret {ref!r}",
                field="secret_ref",
                advice="put it into the deployment's secrets folder under this name",
            )
        return path.read_text(encoding="utf-8").strip()
