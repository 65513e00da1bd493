"""The comments of the services name the refusals their methods give."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import invoice_payment
from throughline_core.errors import Refusal

PROTO = Path(__file__).resolve().parents[4] / "proto/throughline/invoice_payment/v1"
CODE = re.compile(r"\b[a-z_]+\.[a-z_]+\b")
# Said to nobody who calls: work of the service itself, and what every method of a kind may say.
UNSAID = {"invoice_run.moved_on"}


def documented() -> set[str]:
    codes: set[str] = set()
    for file in PROTO.glob("*_service.proto"):
        flowing = re.sub(r"\n\s*//\s?", " ", file.read_text())
        for sentence in re.findall(r"Refuses: (.*?)\.(?:\s|$)", flowing, flags=re.DOTALL):
            codes.update(CODE.findall(sentence))
    return codes


def defined() -> Iterator[str]:
    for module in walk_packages(invoice_payment.__path__, "invoice_payment."):
        if ".migrations" in module.name or module.name.endswith("__main__"):
            continue
        for value in vars(import_module(module.name)).values():
            own = isinstance(value, type) and issubclass(value, Refusal)
            if own and value.__module__.startswith("invoice_payment"):
                yield value.code


def test_every_refusal_of_the_service_is_documented() -> None:
    assert set(defined()) - documented() - UNSAID == set()
