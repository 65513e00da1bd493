"""What other services announce in a case: terms, cards, customers, approved things, documents."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from billing_event_builders import activated, an_id, billed, credited, limit_changed
from billing_event_case_scene import Scene
from billing_event_case_terms import (
    Words,
    a_card_of,
    a_contract_of,
    a_customer_of,
    amended,
    matched,
)
from billing_event_sources import rates

from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.invoice_payment.v1 import invoice_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as projects
from throughline_testing.samples import sample

_TAKER: Final = re.compile(r"(\w+) by (\w+)")
_CORRECTION: Final = re.compile(r"(\w+) by (\w+), again as (.+)")
_EXPENSE: Final = re.compile(r"(\w+), ([\d.]+) (\w{3}) of (\w+)(?: on (\S+))?")
_MILESTONE: Final = re.compile(r"(\w+), ([\d.]+)")
_ACCEPTED: Final = re.compile(r"(\w+)(?:, ([\d.]+), the rest as (\w+))?")
_DOCUMENT: Final = re.compile(r"(\w\S*): (.+)")
_THING: Final = re.compile(r"(?:([\d.]+) of )?(\w+)")
_RATE: Final = re.compile(r"(\w+)/(\w+) ([\d.]+) of (\S+)(?: by (\w+))?")
_ENDING: Final = re.compile(r"from (\S+)")


async def contract_in_force(scene: Scene, terms: Words) -> None:
    scene.terms = {**scene.terms, **(terms or {})}
    await scene.take(activated(a_contract_of(scene.terms, version=scene.next_version("terms"))))


async def changed(scene: Scene, terms: Words) -> None:
    """Take in a change order; `version` is said where versions come out of order."""
    terms = dict(terms)
    version = int(terms.pop("version", 0)) or scene.next_version("terms")
    scene.versions["terms"] = max(version, scene.versions.get("terms", 0))
    scene.terms = {**scene.terms, **terms}
    contract = a_contract_of(scene.terms, version=version)
    await scene.take(amended(contract, terms) if "from" in terms else limit_changed(contract))


async def terminated(scene: Scene, words: str) -> None:
    contract = a_contract_of(scene.terms, version=scene.versions["terms"])
    contract.version += 50
    [contract.terminated_on] = matched(_ENDING, words)
    contract.termination_reason = "the programme stops"
    await scene.take(contracts.ContractTerminated(contract=contract))


async def customer(scene: Scene, words: str) -> None:
    version = scene.next_version(words.split(maxsplit=1)[0])
    await scene.take(a_customer_of(words, version=version))


async def card(scene: Scene, entries: Any) -> None:
    await scene.take(a_card_of(entries, version=scene.next_version("card")))


async def transfer_card(scene: Scene, entries: Any) -> None:
    version = scene.next_version("transfer card")
    await scene.take(a_card_of(entries, version=version, purpose="transfer"))


async def exchange_rates(scene: Scene, quotes: Any) -> None:
    found = [matched(_RATE, words) for words in quotes]
    event = rates(
        *((quote, day, rate) for _, quote, rate, day, _ in found),
        number=scene.next_version("exchange rates"),
    )
    for each, (base, *_, source) in zip(event.rates, found, strict=True):
        each.base, each.source = base, source or "ecb"
    await scene.take(event)


async def work(scene: Scene, words: str) -> None:
    await scene.approve(scene.entry(words))


async def taken_back(scene: Scene, words: str) -> None:
    of, letter = matched(_TAKER, words)
    await scene.approve(scene.taker(letter, of))


async def corrected(scene: Scene, words: str) -> None:
    """Take an entry back and enter it again, in one approval."""
    of, letter, again = matched(_CORRECTION, words)
    taker, entry = scene.taker(letter, of), scene.entry(again)
    entry.replaces_time_entry_id = scene.entries[of].time_entry_id
    await scene.approve(taker, entry)


async def taken_back_before(scene: Scene, words: str) -> None:
    """Take in what takes an entry back before the entry itself: `A, 8 h of … by R`."""
    phrase, letter = words.rsplit(" by ", 1)
    entry = scene.entry(phrase)
    await scene.approve(scene.taker(letter, phrase.split(",")[0]))
    await scene.approve(entry)


async def expense(scene: Scene, words: str) -> None:
    letter, net, currency, category, day = matched(_EXPENSE, words)
    report: projects.ExpenseReportApproved = sample(projects.ExpenseReportApproved)
    [line] = report.lines
    line.expense_line_id = str(scene.named(letter, "17"))
    report.expense_report_id = str(an_id(f"18{len(scene.things):06x}"))
    line.category, line.incurred_on = category, day or "2026-09-08"
    line.net_amount.amount, line.net_amount.currency = net, currency
    line.ClearField("tax_amount")
    await scene.take(report)


async def milestone_completed(scene: Scene, words: str) -> None:
    letter, amount = matched(_MILESTONE, words)
    completed: projects.MilestoneCompleted = sample(projects.MilestoneCompleted)
    completed.milestone.milestone_id = str(scene.named(letter, "13"))
    completed.milestone.amount.amount = amount
    scene.milestones[letter] = completed.milestone
    await scene.take(completed)


async def milestone_accepted(scene: Scene, words: str) -> None:
    letter, accepted, rest_letter = matched(_ACCEPTED, words)
    event: projects.MilestoneAccepted = sample(projects.MilestoneAccepted)
    known = scene.milestones[letter]
    event.milestone.milestone_id = known.milestone_id
    event.milestone.amount.CopyFrom(known.amount)
    event.milestone.version = known.version + 1
    if accepted:
        rest = event.rest
        rest.CopyFrom(known)
        rest.milestone_id, rest.version = str(scene.named(rest_letter, "13")), 1
        rest.key, rest.split_from_milestone_id = f"{known.key}_rest", known.milestone_id
        rest.amount.amount = str(Decimal(known.amount.amount) - Decimal(accepted))
        event.milestone.amount.amount = accepted
        scene.milestones[rest_letter] = rest
    await scene.take(event)
    if accepted:
        await scene.take(
            projects.MilestoneCompleted(
                milestone=scene.milestones[rest_letter],
                engagement_id=event.engagement_id,
                correlation_id=event.correlation_id,
            )
        )


async def acceptance_withdrawn(scene: Scene, letter: str) -> None:
    event: projects.MilestoneAcceptanceWithdrawn = sample(projects.MilestoneAcceptanceWithdrawn)
    known = scene.milestones[letter]
    event.milestone.milestone_id = known.milestone_id
    event.milestone.amount.CopyFrom(known.amount)
    event.milestone.version = known.version + 2
    event.ClearField("rest")
    await scene.take(event)


async def once_more(scene: Scene, times: str) -> None:
    """Deliver the last event again: `4 times`."""
    last = scene.told[-1]
    for _ in range(int(times.split(maxsplit=1)[0])):
        await scene.take(last)


async def invoiced(scene: Scene, words: str) -> None:
    """Issue an invoice over things, or parts of them: `INV-1: A, 3.50 of B`."""
    document, things = matched(_DOCUMENT, words)
    items = await _claims(scene, things, _open_of)
    scene.invoicing.invoices.update((row_id, document) for row_id, *_ in items)
    number = scene.next_version("document")
    await scene.take(billed(*items, invoice=f"1a{number:04x}", line=f"1b{number:04x}"))


async def _credit(scene: Scene, words: str, *, gives_up: bool) -> None:
    _, things = matched(_DOCUMENT, words)
    items = await _claims(scene, things, _claimed_of)
    number = scene.next_version("document")
    disposition = (
        invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF
        if gives_up
        else invoice_pb2.CREDIT_DISPOSITION_RETURN_TO_UNBILLED
    )
    await scene.take(credited(*items, note=f"1a{number:04x}", disposition=disposition))


async def credit_note(scene: Scene, words: str) -> None:
    await _credit(scene, words, gives_up=False)


async def credit_note_given_up(scene: Scene, words: str) -> None:
    await _credit(scene, words, gives_up=True)


def _open_of(row: Any) -> tuple[Decimal, Decimal]:
    return row.quantity - row.allocated_quantity, row.amount - row.allocated_amount


def _claimed_of(row: Any) -> tuple[Decimal, Decimal]:
    return row.allocated_quantity, row.allocated_amount


async def _claims(
    scene: Scene, things: str, rest_of: Callable[[Any], tuple[Decimal, Decimal]]
) -> list[tuple[str, str, str]]:
    """Return row, quantity and amount of what a document names, row by row."""
    items = []
    for words in things.split(", "):
        much, letter = matched(_THING, words)
        left = None if much is None else Decimal(much)
        for row in await scene.rows_of(letter):
            quantity, amount = rest_of(row)
            if row.status != "released" or not quantity or left == 0:
                continue
            if left is not None:
                part = min(quantity, left)
                amount = amount if part == quantity else part * row.unit_rate
                quantity, left = part, left - part
            items.append((str(row.billing_event_id), f"{quantity:f}", f"{amount:f}"))
    assert items, f"nothing of {things} is there to be claimed"
    return items
