"""What cases say of contracts, cards and customers, as the events that announce it.

Keys are the words of `cases/README.md`; one that is not known there fails the case.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing_event_builders import (
    CUSTOMER,
    EXPENSES,
    FIXED_FEE,
    HOURS,
    SUPPORT,
    a_contract,
    an_id,
    published,
    recorded,
)
from billing_event_sources import BY_PROGRESS, METERED, a_sourced_contract
from google.protobuf.message import Message

from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2, customer_pb2, quote_pb2, rate_card_pb2

Words = Mapping[str, Any]

CUSTOMERS: Final[Mapping[str, UUID]] = {
    "alpha": CUSTOMER,
    "beta": an_id("c2"),
    "gamma": an_id("c3"),
}
LINES: Final[Mapping[str, UUID]] = {
    "fee": FIXED_FEE,
    "hours": HOURS,
    "support": SUPPORT,
    "expenses": EXPENSES,
    "devices": METERED,
    "migration": BY_PROGRESS,
}
LENDER: Final = an_id("e2")

_PAYER: Final = re.compile(r"(\w+) (?:([\d.]+) %|([\d.]+) EUR first)( rounding)?")
_ORDER: Final = re.compile(r"(\S+)(?: up to ([\d.]+))? from (\S+)(?: to (\S+))?")
_ENTRY: Final = re.compile(r"(\w+) at ([\d.]+)(?: from (\S+))?(?: to (\S+))?")
_TIER: Final = re.compile(r"(?:([\d.]+) at|the rest at) ([\d.]+)")
_ROUNDINGS: Final = {
    "up": contract_pb2.TIME_ROUNDING_MODE_UP,
    "down": contract_pb2.TIME_ROUNDING_MODE_DOWN,
    "nearest": contract_pb2.TIME_ROUNDING_MODE_NEAREST,
}


def day_after(day: date | str) -> str:
    """Return the first day after an inclusive last one."""
    return str(date.fromisoformat(str(day)) + timedelta(days=1))


def matched(pattern: re.Pattern[str], words: str) -> tuple[Any, ...]:
    """Return what a phrase says.

    Raises:
        AssertionError: it is not in the words of the cases.
    """
    found = pattern.fullmatch(words)
    assert found is not None, f"{words!r} is not of the form {pattern.pattern}"
    return found.groups()


def set_money(money: Any, amount: Any) -> None:
    money.amount, money.currency = f"{Decimal(str(amount)):f}", "EUR"


def a_contract_of(terms: Words, *, version: int = 1) -> contract_pb2.Contract:
    """Return a version of the story's contract with these terms; hours cost 100.00 by default."""
    is_metered = "included" in terms or "net_total" in terms
    contract = a_sourced_contract(version=version) if is_metered else a_contract(version=version)
    contract.version = version + 2
    rates = terms.get("rates", {"consultant": "100.00"})
    set_rates(contract.lines[1].terms, rates)
    for name, value in terms.items():
        if name != "rates":
            _TERMS[name](contract, value)
    return contract


def set_rates(line: quote_pb2.ServiceLine, rates: Words) -> None:
    del line.rates[:]
    for role, rate in rates.items():
        set_money(line.rates.add(role=role, planned_hours="0").hourly_rate, rate)


def line_of(contract: contract_pb2.Contract, name: str) -> contract_pb2.ContractLine:
    [line] = [each for each in contract.lines if each.contract_line_id == str(LINES[name])]
    return line


def _from(contract: contract_pb2.Contract, day: Any) -> None:
    contract.terms_effective_on = str(day)


def _starts(contract: contract_pb2.Contract, day: Any) -> None:
    contract.start_on = contract.activated_on = contract.terms_effective_on = str(day)


def _ends(contract: contract_pb2.Contract, last_day: Any) -> None:
    contract.end_on = day_after(last_day)


def _zone(contract: contract_pb2.Contract, zone: str) -> None:
    contract.time_zone = zone


def _cap(contract: contract_pb2.Contract, amount: Any) -> None:
    terms = line_of(contract, "hours").terms
    terms.ClearField("not_to_exceed")
    if amount != "none":
        set_money(terms.not_to_exceed, amount)


def _contract_cap(contract: contract_pb2.Contract, amount: Any) -> None:
    set_money(contract.not_to_exceed, amount)


def _payers(contract: contract_pb2.Contract, payers: Sequence[str]) -> None:
    for words in payers:
        name, percent, amount, is_rounding = matched(_PAYER, words)
        payer = contract.payers.add(
            customer_id=str(CUSTOMERS[name]),
            share_percent=percent or "0",
            rounding_payer=bool(is_rounding),
        )
        if amount:
            set_money(payer.amount, amount)


def _bill_to(contract: contract_pb2.Contract, name: str) -> None:
    contract.bill_to_customer_id = str(CUSTOMERS[name])


def _orders(contract: contract_pb2.Contract, orders: Sequence[str]) -> None:
    for words in orders:
        number, amount, first, last = matched(_ORDER, words)
        order = contract.purchase_orders.add(number=number, valid_from=first)
        if last:
            order.valid_to = day_after(last)
        if amount:
            set_money(order.amount, amount)


def _rounding(contract: contract_pb2.Contract, words: str) -> None:
    mode, _, minutes, _ = words.split()
    contract.time_rounding_mode = _ROUNDINGS[mode]
    contract.time_rounding_minutes = int(minutes)


def _correction(contract: contract_pb2.Contract, words: str) -> None:
    contract.rerating_policy = {
        "debit and credit": contract_pb2.RERATING_POLICY_DEBIT_CREDIT,
        "credit and rebill": contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL,
    }[words]


def _hours_are(contract: contract_pb2.Contract, model: str) -> None:
    line_of(contract, "hours").terms.billing_model = {
        "by the hour": quote_pb2.BILLING_MODEL_TIME_AND_MATERIALS,
        "a fixed fee": quote_pb2.BILLING_MODEL_FIXED_FEE,
    }[model]


def _hours_end(contract: contract_pb2.Contract, day: Any) -> None:
    line_of(contract, "hours").ended_on = str(day)


def _support_ends(contract: contract_pb2.Contract, day: Any) -> None:
    if day != "never":
        line_of(contract, "support").ended_on = str(day)


def _support_runs(contract: contract_pb2.Contract, words: str) -> None:
    """Set the first and last day of the recurring line: `2026-09-01 to 2026-11-30`."""
    first, last = words.split(" to ")
    terms = line_of(contract, "support").terms
    terms.start_on, terms.end_on = first, day_after(last)
    contract.start_on = contract.activated_on = min(first, contract.start_on)
    contract.end_on = max(terms.end_on, contract.end_on)


def _in_advance(contract: contract_pb2.Contract, words: str) -> None:
    line_of(contract, "support").terms.in_advance = words == "true"


def _anchor_day(contract: contract_pb2.Contract, day: Any) -> None:
    line_of(contract, "support").terms.anchor_day = int(day)


def _months(contract: contract_pb2.Contract, months: Any) -> None:
    line_of(contract, "support").terms.period_months = int(months)


def _price(contract: contract_pb2.Contract, price: Any) -> None:
    set_money(line_of(contract, "support").terms.unit_price, price)


def _proration(contract: contract_pb2.Contract, words: str) -> None:
    line_of(contract, "support").terms.proration = quote_pb2.Proration.Value(
        f"PRORATION_{words.upper()}"
    )


def _retainer(contract: contract_pb2.Contract, block: Words) -> None:
    """Make the recurring line a retainer by the month."""
    terms = line_of(contract, "support").terms
    terms.billing_model = quote_pb2.BILLING_MODEL_RETAINER
    set_money(terms.unit_price, block["price"])
    retainer = terms.retainer
    retainer.period_months = 1
    if "hours" in block:
        retainer.hours = str(block["hours"])
    else:
        set_rates(terms, block["rates"])
    carried = block.get("carries_on_percent")
    retainer.roll_over = (
        quote_pb2.RETAINER_ROLL_OVER_NONE if carried is None else quote_pb2.RETAINER_ROLL_OVER_CARRY
    )
    retainer.roll_over_limit_percent = str(carried or 0)
    retainer.expires_after_periods = int(block.get("for_months", 1))
    retainer.overage = quote_pb2.RetainerOverage.Value(
        f"RETAINER_OVERAGE_{block.get('beyond', 'hold').upper()}"
    )
    if "overage_rate" in block:
        set_money(retainer.overage_rate, block["overage_rate"])


def _included(contract: contract_pb2.Contract, quantity: Any) -> None:
    line_of(contract, "devices").terms.usage.included_quantity = str(quantity)


def _tiers(contract: contract_pb2.Contract, tiers: Sequence[str]) -> None:
    usage = line_of(contract, "devices").terms.usage
    del usage.tiers[:]
    for words in tiers:
        up_to, price = matched(_TIER, words)
        set_money(usage.tiers.add(up_to=up_to or "").unit_price, price)


def _counted_as(contract: contract_pb2.Contract, words: str) -> None:
    line_of(contract, "devices").terms.usage.aggregation = quote_pb2.UsageAggregation.Value(
        f"USAGE_AGGREGATION_{words.upper()}"
    )


def _net_total(contract: contract_pb2.Contract, amount: Any) -> None:
    set_money(line_of(contract, "migration").terms.net_total, amount)


def _markup(contract: contract_pb2.Contract, percent: Any) -> None:
    line_of(contract, "expenses").terms.markup_percent = str(percent)


def _markups(contract: contract_pb2.Contract, percents: Words) -> None:
    policy = line_of(contract, "expenses").terms.expense_policy
    for category, percent in percents.items():
        policy.rules.add(category=category, markup_percent=str(percent))


def _daily_caps(contract: contract_pb2.Contract, caps: Words) -> None:
    policy = line_of(contract, "expenses").terms.expense_policy
    for category, cap in caps.items():
        set_money(policy.rules.add(category=category, markup_percent="0").daily_cap, cap)


_TERMS: Final[Mapping[str, Callable[[contract_pb2.Contract, Any], None]]] = {
    "from": _from,
    "starts": _starts,
    "ends": _ends,
    "zone": _zone,
    "cap": _cap,
    "contract_cap": _contract_cap,
    "payers": _payers,
    "bill_to": _bill_to,
    "orders": _orders,
    "time_rounded": _rounding,
    "correction": _correction,
    "hours_are": _hours_are,
    "hours_end_on": _hours_end,
    "support_ends_on": _support_ends,
    "support_runs": _support_runs,
    "in_advance": _in_advance,
    "anchor_day": _anchor_day,
    "months": _months,
    "price": _price,
    "proration": _proration,
    "retainer": _retainer,
    "included": _included,
    "tiers": _tiers,
    "counted_as": _counted_as,
    "net_total": _net_total,
    "markup": _markup,
    "markups": _markups,
    "daily_caps": _daily_caps,
}


def amended(contract: contract_pb2.Contract, terms: Words) -> Message:
    """Return that a change order made this version; prices it names are told of as altered."""
    event = contracts.ContractAmended(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
        change_order_number=f"CO-{contract.contract_version:06d}",
    )
    if "rates" in terms:
        for role in terms["rates"]:
            event.changes.add(
                kind=contract_pb2.TERM_CHANGE_KIND_ALTERED,
                contract_line_id=str(HOURS),
                term=f"rates[{role}].hourly_rate",
            )
    if "price" in terms:
        event.changes.add(
            kind=contract_pb2.TERM_CHANGE_KIND_ALTERED,
            contract_line_id=str(SUPPORT),
            term="unit_price",
        )
    if "hours_end_on" in terms:
        event.changes.add(kind=contract_pb2.TERM_CHANGE_KIND_ENDED, contract_line_id=str(HOURS))
    return event


def a_card_of(entries: Sequence[str], *, version: int, purpose: str = "billing") -> Message:
    """Return a version of the firm's card, `consultant at 100.00 from 2026-09-01`; last day incl.

    A transfer card is the lending entity's own.
    """
    event = published({}, version=version)
    for words in entries:
        role, rate, first, last = matched(_ENTRY, words)
        entry = rate_card_pb2.RateCardEntry(role=role, valid_from=first or "2026-01-01")
        if last:
            entry.valid_to = day_after(last)
        set_money(entry.hourly_rate, rate)
        event.rate_card.entries.append(entry)
    if purpose == "transfer":
        event.rate_card.rate_card_id = str(an_id("d2"))
        event.rate_card.code = "IC-2026"
        event.rate_card.legal_entity_id = str(LENDER)
        event.rate_card.purpose = rate_card_pb2.RATE_CARD_PURPOSE_TRANSFER
    return event


def a_customer_of(words: str, *, version: int) -> Message:
    """Return what is known of a customer: `alpha`, `alpha on credit hold`, `alpha tax missing`."""
    name, _, state = words.partition(" ")
    tax = customer_pb2.TAX_STATUS_VALID
    if state.startswith("tax "):
        tax = customer_pb2.TaxStatus.Value(f"TAX_STATUS_{state[4:].upper()}")
    else:
        assert state in ("", "on credit hold"), state
    event = recorded(version, credit_hold=state == "on credit hold", tax_status=tax)
    event.customer.customer_id = str(CUSTOMERS[name])
    return event
