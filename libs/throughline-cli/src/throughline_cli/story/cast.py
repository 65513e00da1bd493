"""Who acts in the story: one signed-in client for each person, since two pairs of eyes are two."""

from types import TracebackType
from typing import Final, Self

from throughline_cli.api import Api
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.secrets import Subject

_ROLES: Final = {
    "sales": ("sam.sales", "sales_operations"),
    "pmo": ("petra.pmo", "pmo"),
    "delivery": ("dana.delivery", "pmo"),
    "finance": ("fiona.finance", "finance"),
    "controller": ("felix.finance", "finance"),
    "integration": ("ines.integration", "integration"),
    "auditor": ("anna.audit", "auditor"),
}


class Cast:
    """The people of the firm, each behind an own token."""

    def __init__(self, layout: Layout) -> None:
        """Raises `NotRunning` when no stack runs in the folder."""
        apis = {
            name: Api.of(layout, Subject(subject, (role,)))
            for name, (subject, role) in _ROLES.items()
        }
        self.sales = apis["sales"]
        self.pmo = apis["pmo"]
        self.delivery = apis["delivery"]
        self.finance = apis["finance"]
        self.controller = apis["controller"]
        self.integration = apis["integration"]
        self.auditor = apis["auditor"]
        self._all = tuple(apis.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for api in self._all:
            api.__exit__(kind, error, trace)
