"""Keeps calls to other processes out of open transactions: they would hold rows for a peer's time.

`database.write` and `database.read` run their block inside `transaction()`; the RPC client asks
`require_no_transaction()` before each call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

transaction_open: ContextVar[bool] = ContextVar("throughline_transaction_open", default=False)


class TransactionOpen(RuntimeError):
    """Code calls a peer while it holds a transaction: a bug, never a state of affairs."""


@contextmanager
def transaction() -> Iterator[None]:
    """Mark the block, in this task, as holding a transaction."""
    token = transaction_open.set(True)
    try:
        yield
    finally:
        transaction_open.reset(token)


def require_no_transaction(call: str) -> None:
    """Refuse to make `call` while a transaction is open in this task.

    Raises:
        TransactionOpen: one is.
    """
    if transaction_open.get():
        raise TransactionOpen(f"{call} is called inside a transaction")
