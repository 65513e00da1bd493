"""Makes the toy service importable, by this process and by those that tests start."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "toy"))


@pytest.fixture
def service() -> str:
    """The service whose databases and settings the fixtures make."""
    return "toy-ledger"
