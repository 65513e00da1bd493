"""Amending a contract: the terms a change order makes, for each stretch of days it concerns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from customer_contract.domain.change_order_content import (
    AddedLine,
    AlteredLine,
    ChangeOrderContent,
    ContentOffer,
    EndedLine,
    added_line_id,
    contract_line_id_of,
)
from customer_contract.domain.contract_limit import LineNotFound, require_limit
from customer_contract.domain.contract_profile import check_profile
from customer_contract.domain.contract_terms import BillingProfile, Contract, ContractLine
from customer_contract.domain.line_change import alter
from customer_contract.domain.line_offer import OutsideTerm, complete
from customer_contract.domain.service_line import LineDefaults
from customer_contract.domain.values import ChangeOrderId, ContractLineId
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.period import Period


class LineRepeated(InvalidArgument):
    """A change order alters or ends one line twice."""

    code = "change_order.line_repeated"


class KeyRepeated(InvalidArgument):
    """Two lines that a change order adds have one key."""

    code = "change_order.key_repeated"


class OutsideContractTerm(InvalidArgument):
    """A day of the change order is not within the term, or before it takes effect."""

    code = "change_order.outside_term"


class LineEnded(FailedPrecondition):
    """The line is no longer in force on that day."""

    code = "change_order.line_ended"


class WorkBeyondTerm(InvalidArgument):
    """A line would go on after the end of the contract."""

    code = "change_order.work_beyond_term"


def complete_content(
    offer: ContentOffer,
    contract: Contract,
    catalogue: Mapping[str, LineDefaults],
    *,
    change_order_id: ChangeOrderId,
    effective_on: date,
) -> ChangeOrderContent:
    """Return the content with its added lines completed from the catalogue.

    Raises:
        KeyRepeated, OutsideContractTerm: the lines, or the effective day.
        InvalidArgument: a line, see `line_offer.complete`.
    """
    end_on = offer.rest.end_on or contract.end_on
    require_effective(effective_on, contract, end_on)
    keys = [line.key for line in offer.added]
    if len(set(keys)) != len(keys):
        raise KeyRepeated("each added line has a key of its own", field="content.added_lines")
    added = tuple(
        AddedLine(
            key=line.key,
            line=complete(
                replace(line.offer, start_on=line.offer.start_on or effective_on),
                catalogue.get(line.offer.service_code),
                quote_line_id=added_line_id(change_order_id, line.key),
                position=index + 1,
                currency=contract.currency,
                term=Period(effective_on, end_on),
                field=f"content.added_lines[{index}].terms",
            ),
        )
        for index, line in enumerate(offer.added)
    )
    return replace(offer.rest, added=added)


def amend(
    contract: Contract,
    content: ChangeOrderContent,
    *,
    change_order_id: ChangeOrderId,
    effective_on: date,
) -> Contract:
    """Return the contract with the terms the change order makes of its present ones.

    Raises:
        LineNotFound, LineRepeated, LineEnded: a line it alters or ends.
        OutsideContractTerm, WorkBeyondTerm, OutsideTerm: a day.
        LimitNotPositive, MixedCurrencies: a limit.
        InvalidArgument, FailedPrecondition: a term, see `line_change.alter` and `check_profile`.
    """
    end_on = content.end_on or contract.end_on
    require_effective(effective_on, contract, end_on)
    _require_once(content)
    lines = {line.contract_line_id: line for line in contract.lines}
    for index, alteration in enumerate(content.altered):
        field = f"content.altered_lines[{index}]"
        line = _line_in_force(lines, alteration.contract_line_id, effective_on, field)
        _require_not_before(alteration.end_on, effective_on, f"{field}.end_on")
        lines[line.contract_line_id] = _altered(line, alteration, contract, field)
    for index, ending in enumerate(content.ended):
        field = f"content.ended_lines[{index}]"
        line = _line_in_force(lines, ending.contract_line_id, effective_on, field)
        lines[line.contract_line_id] = _ended(line, ending, contract, effective_on, field)
    added = _added(content.added, contract, change_order_id)
    amended = replace(
        contract,
        end_on=end_on,
        lines=(*lines.values(), *added),
        billing=_profile(contract, content),
    )
    _require_lines_within(amended)
    check_profile(amended, amended.billing)
    return amended


def require_effective(effective_on: date, contract: Contract, end_on: date) -> None:
    """Refuse a change from a day on that is not within the term, which is to end on `end_on`.

    Raises:
        OutsideContractTerm.
    """
    if not contract.start_on <= effective_on < end_on:
        raise OutsideContractTerm(
            f"the term runs from {contract.start_on} to {end_on}, {effective_on} is outside",
            field="effective_on",
            advice="choose a day within the term, or move the end of the term as well",
        )


def stretches(history: Iterable[Contract], since: date) -> list[tuple[date, Contract]]:
    """Return the terms that hold from `since` on: the first day of each stretch, and its version.

    Of the versions that hold for a day the one with the highest number counts.
    """
    versions = sorted(history, key=lambda version: version.contract_version)
    days = {since} | {day for day in map(_effective, versions) if day > since}
    found: list[tuple[date, Contract]] = []
    for day in sorted(days):
        [*_, counting] = [version for version in versions if _effective(version) <= day]
        if not found or found[-1][1] is not counting:
            found.append((day, counting))
    return found


def _effective(version: Contract) -> date:
    assert version.amendment.effective_on is not None, "signed terms hold from a day on"
    return version.amendment.effective_on


def _require_once(content: ChangeOrderContent) -> None:
    touched = [one.contract_line_id for one in content.altered]
    touched += [one.contract_line_id for one in content.ended]
    for line_id in touched:
        if touched.count(line_id) > 1:
            raise LineRepeated(
                f"line {line_id} is altered or ended twice",
                field="content.altered_lines",
                advice="say everything about a line once",
            )


def _line_in_force(
    lines: Mapping[ContractLineId, ContractLine],
    line_id: ContractLineId,
    effective_on: date,
    field: str,
) -> ContractLine:
    line = lines.get(line_id)
    if line is None:
        raise LineNotFound(
            f"the terms of {effective_on} have no line {line_id}",
            field=f"{field}.contract_line_id",
        )
    if line.ended_on is not None and line.ended_on <= effective_on:
        raise LineEnded(
            f"line {line.terms.position} ended on {line.ended_on}",
            field=f"{field}.contract_line_id",
            advice="add a line for what goes on",
        )
    return line


def _altered(
    line: ContractLine, alteration: AlteredLine, contract: Contract, field: str
) -> ContractLine:
    return replace(
        line, terms=alter(line.terms, alteration, currency=contract.currency, field=field)
    )


def _ended(
    line: ContractLine, ending: EndedLine, contract: Contract, effective_on: date, field: str
) -> ContractLine:
    ended_on = ending.ended_on or effective_on
    _require_not_before(ended_on, effective_on, f"{field}.ended_on")
    ends_anyway = min(line.terms.end_on or contract.end_on, line.ended_on or contract.end_on)
    if ended_on >= ends_anyway:
        raise LineEnded(
            f"line {line.terms.position} ends on {ends_anyway} by itself",
            field=f"{field}.ended_on",
            advice="choose an earlier day",
        )
    return replace(line, ended_on=ended_on)


def _require_not_before(day: date | None, effective_on: date, field: str) -> None:
    if day is not None and day < effective_on:
        raise OutsideContractTerm(
            f"{day} is before the change takes effect on {effective_on}",
            field=field,
            advice="let the change order take effect earlier",
        )


def _added(
    added: Sequence[AddedLine], contract: Contract, change_order_id: ChangeOrderId
) -> Iterable[ContractLine]:
    last = max(line.terms.position for line in contract.lines)
    for index, one in enumerate(added, start=1):
        line_id = contract_line_id_of(contract.contract_id, one.line.quote_line_id)
        yield ContractLine(
            contract_line_id=line_id,
            terms=replace(one.line, position=last + index),
            added_by_change_order_id=change_order_id,
        )


def _profile(contract: Contract, content: ChangeOrderContent) -> BillingProfile:
    billing = contract.billing
    if content.limit is not None:
        require_limit(content.limit.limit, contract.currency)
        billing = replace(billing, not_to_exceed=content.limit.limit)
    if content.purchase_orders is not None:
        billing = replace(billing, purchase_orders=content.purchase_orders)
    if content.payers is not None:
        billing = replace(billing, payers=content.payers)
    if content.holdback is not None:
        billing = replace(billing, holdback=content.holdback.holdback)
    if content.bill_to_customer_id is not None:
        billing = replace(billing, bill_to_customer_id=content.bill_to_customer_id)
    return billing


def _require_lines_within(contract: Contract) -> None:
    for line in contract.lines:
        start_on = line.terms.start_on or contract.start_on
        end_on = line.terms.end_on or contract.end_on
        if end_on > contract.end_on and line.ended_on is None:
            raise WorkBeyondTerm(
                f"line {line.terms.position} goes on to {end_on}, the term to {contract.end_on}",
                field="content.end_on",
                advice="end or shorten the line by the same change order",
            )
        if not contract.start_on <= start_on < end_on:
            raise OutsideTerm(
                f"line {line.terms.position} would run from {start_on} to {end_on}",
                field="content.altered_lines",
                advice="keep the line's days within the term",
            )
