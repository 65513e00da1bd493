"""What the simulated vendors know: documents in memory and, given a file, safe across a restart."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar, cast

from throughline_simulators import exact_json

Body = TypeVar("Body", bound=Mapping[str, object])

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    position   INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    UNIQUE (collection, key)
)
"""
_WRITE = """
INSERT INTO document (collection, key, body) VALUES (?, ?, ?)
ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body
"""


class Store:
    """All documents of one process; memory is read, the file is only written.

    Changes reach the file together at `commit`, which the gate calls before a reply leaves: what a
    client has seen survives a kill of this process. A body is never changed in place.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._documents: dict[str, dict[str, Mapping[str, object]]] = {}
        self._pending: dict[tuple[str, str], Mapping[str, object] | None] = {}
        self._file = None if path is None else _open(path)
        if self._file is not None:
            rows = self._file.execute(
                "SELECT collection, key, body FROM document ORDER BY position"
            )
            for collection, key, body in rows:
                document = cast("Mapping[str, object]", exact_json.read(body))
                self._documents.setdefault(collection, {})[key] = document

    def collection(self, name: str) -> dict[str, Mapping[str, object]]:
        return self._documents.setdefault(name, {})

    def put(self, collection: str, key: str, body: Mapping[str, object]) -> None:
        self.collection(collection)[key] = body
        self._pending[collection, key] = body

    def remove(self, collection: str, key: str) -> None:
        if self.collection(collection).pop(key, None) is not None:
            self._pending[collection, key] = None

    def clear(self, prefix: str) -> None:
        """Forget every collection whose name starts with `prefix`."""
        for name in [name for name in self._documents if name.startswith(prefix)]:
            for key in list(self._documents[name]):
                self.remove(name, key)

    def next_number(self, counter: str) -> int:
        """Return 1, 2, 3 … for each `counter`, never the same twice unless it is cleared."""
        body = self.collection(counter).get("last", {"number": 0})
        number = cast("int", body["number"]) + 1
        self.put(counter, "last", {"number": number})
        return number

    def commit(self) -> None:
        """Write what has changed since the last commit, all of it or nothing."""
        pending, self._pending = self._pending, {}
        if self._file is None or not pending:
            return
        with self._file:
            for (collection, key), body in pending.items():
                if body is None:
                    self._file.execute(
                        "DELETE FROM document WHERE collection = ? AND key = ?", (collection, key)
                    )
                else:
                    self._file.execute(_WRITE, (collection, key, exact_json.write(body)))

    def close(self) -> None:
        self.commit()
        if self._file is not None:
            self._file.close()


class Collection(Generic[Body]):
    """A typed view of one collection, in order of first insertion."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def get(self, key: str) -> Body | None:
        return cast("Body | None", self._store.collection(self._name).get(key))

    def put(self, key: str, body: Body) -> None:
        self._store.put(self._name, key, body)

    def remove(self, key: str) -> None:
        self._store.remove(self._name, key)

    def values(self) -> list[Body]:
        return cast("list[Body]", list(self._store.collection(self._name).values()))

    def items(self) -> Iterator[tuple[str, Body]]:
        return iter(
            cast("list[tuple[str, Body]]", list(self._store.collection(self._name).items()))
        )

    def __len__(self) -> int:
        return len(self._store.collection(self._name))


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The event loop may run in another thread than the one that built the application.
    file = sqlite3.connect(path, check_same_thread=False)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute(_SCHEMA)
    return file
