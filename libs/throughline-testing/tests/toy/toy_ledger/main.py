"""The composition root of the toy."""

from typing import Final

from throughline_runtime.service import Service

SERVICE: Final = Service(name="toy-ledger", package="toy_ledger")
