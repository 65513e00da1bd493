"""Authentication, throttling, validation and REST derived from the proto."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("gateway")
