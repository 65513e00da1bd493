"""Five hundred quotes at once, each told twice and in any order: five hundred projects."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Final

from e2e_practice import Practice, at_a_fixed_fee, by_the_hour

from throughline_cli.api import Document

_QUOTES: Final = 500
_CLIENTS: Final = 8


def test_five_hundred_quotes_become_five_hundred_projects(practice: Practice) -> None:
    entity, customer = practice.found_entity(), practice.customer()
    numbers = [*range(_QUOTES), *range(_QUOTES)]
    Random(7).shuffle(numbers)

    def send(number: int) -> tuple[int, Document]:
        body = offered(practice, entity, customer, number)
        return number, practice.integration.post("/v1/quotes:import", body)["quote"]

    with ThreadPoolExecutor(_CLIENTS) as clients:
        quotes = dict(clients.map(send, numbers))
        assert len({quote["quote_id"] for quote in quotes.values()}) == _QUOTES
        contracts = set(clients.map(practice.approve, quotes.values()))
        list(clients.map(practice.put_in_force, contracts))

    def all_there() -> list[Document] | None:
        found = list(
            practice.pmo.pages("/v1/projects", "projects", legal_entity_id=entity, page_size=100)
        )
        return found if len(found) >= _QUOTES else None

    projects = practice.until("every deal has its project", all_there)
    assert len(projects) == _QUOTES
    assert {project["contract_id"] for project in projects} == contracts
    assert len({project["number"] for project in projects}) == _QUOTES
    assert practice.broken_invariants() == []


def offered(practice: Practice, entity: str, customer: str, number: int) -> Document:
    """Return a quote as the CRM sends it."""
    return {
        "source": {
            "system": "crm",
            "object_type": "quote",
            "object_id": f"{entity}-{number}",
        },
        "number": f"CRM-{entity[-4:]}-{number:05d}",
        "terms": {
            "customer_id": customer,
            "legal_entity_id": entity,
            "currency": "EUR",
            "start_on": practice.day(0),
            "end_on": practice.day(200),
            "lines": [by_the_hour(), at_a_fixed_fee()],
        },
    }
