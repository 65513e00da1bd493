"""Brings in readings of meters, closes periods that are over, and prices closed ones anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save
from billing_event.commands.lines import ContractNotFound
from billing_event.commands.rate import lock_ahead, rate, reconsider
from billing_event.domain import reading as readings_of
from billing_event.domain import usage
from billing_event.domain.agreement import Agreement
from billing_event.domain.reading import (
    Known,
    LineNotFound,
    Reading,
    RecordEnded,
    RecordNotFound,
    RecordStatus,
    UsageRecord,
    UsageRecordId,
)
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.source import ContractId, ContractLineId, SourceItemId
from billing_event.domain.step import SourceStep, StepState
from billing_event.domain.usage import Charge, UsagePeriodId
from billing_event.repository import fact, standing
from billing_event.repository import reading as records_of
from billing_event.repository import usage as repository
from billing_event.repository.usage import Kept
from throughline_core.errors import Refusal
from throughline_runtime import audit, exceptions
from throughline_runtime.identity import require_entity

CLOSED_MAX: Final = 500
"""Periods closed in one transaction."""

AHEAD: Final = "usage.reading_ahead"
OUTSIDE: Final = "usage.reading_outside_term"


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one reading: the record it is, whether it was added, or why it was refused."""

    record: UsageRecord | None
    is_new: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the readings, in their order, and how many closed periods were repriced."""

    results: Sequence[RowResult]
    repriced: int


async def import_readings(
    tx: AsyncConnection, readings: Sequence[Reading | Refusal], *, by: str, at: datetime
) -> Imported:
    """Keep readings that are new or correct others; a constant number of statements."""
    placed, agreements = await _place(tx, readings)
    records = [each for each in placed if isinstance(each, UsageRecord)]
    touched = usage.periods_touched(agreements, records)
    if touched:
        await repository.ensure_periods(tx, touched)
    known = await records_of.known(tx, {record.record_key for record in records})
    days = {(record.contract_line_id, record.measured_on) for record in records}
    days |= {(each.record.contract_line_id, each.record.measured_on) for each in known.values()}
    periods = await repository.lock_at(tx, days)
    # Once more, now that nobody else adds readings of these periods.
    known = await records_of.known(tx, {record.record_key for record in records})
    results = _decide(readings, placed, known)
    fresh = [each.record for each in results if each.is_new and each.record is not None]
    if not fresh:
        return Imported(results, 0)
    replaced = [
        known[record.record_key].record.usage_record_id
        for record in fresh
        if record.record_key in known and known[record.record_key].status is RecordStatus.COUNTED
    ]
    await records_of.add(tx, fresh, by=by, at=at)
    if replaced:
        reason = "a correction took its place"
        await records_of.end(tx, replaced, RecordStatus.REPLACED, reason, by=by, at=at)
    audit.touch(tx, *{record.contract_line_id for record in fresh})
    audit.touch(tx, *(record.usage_record_id for record in fresh), *replaced)
    repriced = await _price_closed(tx, periods, agreements, at=at)
    if any(record.measured_at > at for record in fresh):
        await report_ahead(tx, at=at)
    return Imported(results, repriced)


async def withdraw(
    tx: AsyncConnection, usage_record_id: UsageRecordId, reason: str, *, by: str, at: datetime
) -> bool:
    """Let a reading count no more; return whether a closed period was priced anew.

    Raises:
        RecordNotFound, EntityForbidden: it is not there, or not for the caller.
        RecordEnded: it was replaced or withdrawn before.
        StaleVersion: somebody else ended it meanwhile.
    """
    found = await records_of.get(tx, usage_record_id)
    if found is None:
        raise RecordNotFound(f"usage record {usage_record_id} does not exist")
    record = found.record
    require_entity(record.legal_entity_id)
    if found.status is not RecordStatus.COUNTED:
        raise RecordEnded(
            f"usage record {usage_record_id} is {found.status}",
            advice="withdraw the reading that took its place, if any",
        )
    periods = await repository.lock_at(tx, {(record.contract_line_id, record.measured_on)})
    await records_of.end(tx, [usage_record_id], RecordStatus.WITHDRAWN, reason, by=by, at=at)
    audit.touch(tx, usage_record_id, record.contract_line_id)
    _, agreements = await fact.load_agreements(tx, [record.contract_id])
    repriced = await _price_closed(tx, periods, agreements, at=at)
    await _report_outside(tx, list(agreements.values()))
    return bool(repriced)


async def plan(tx: AsyncConnection, news: Sequence[Agreement], *, at: datetime) -> None:
    """Bring periods of usage lines to new terms; closed ones are priced by the days they have."""
    agreements = {each.newest.contract_id: each for each in news}
    periods = [period for each in news for period in usage.plan_usage(each)]
    changed = await repository.plan_periods(tx, agreements.keys(), periods)
    if changed:
        await _price_closed(tx, await repository.lock(tx, changed), agreements, at=at)
    await _report_outside(tx, news)


async def close_over(
    tx: AsyncConnection,
    through: Mapping[str, date],
    *,
    at: datetime,
    after: UsagePeriodId | None = None,
) -> UsagePeriodId | None:
    """Charge periods that are over on the day of their zone, as many as one call may.

    Closed ones among them are priced once more: they were extended, or terms of them were missing.
    A period whose terms may be missing is left for later. Returns where to go on, None at the end.
    """
    periods = await repository.lock_over(tx, through, after=after, limit=CLOSED_MAX)
    await _price(tx, periods, {}, at=at)
    return max(periods) if len(periods) == CLOSED_MAX else None


async def charges_by(
    tx: AsyncConnection,
    periods: Mapping[SourceItemId, Kept],
    agreements: Mapping[ContractId, Agreement],
    *,
    at: datetime,
) -> dict[SourceItemId, Charge]:
    """Return what closed periods cost by today's terms, those left out whose terms are missing."""
    if not periods:
        return {}
    ids = {item_id: kept.period.usage_period_id for item_id, kept in periods.items()}
    metered = await repository.metered(tx, ids.values(), at=at)
    found = {
        item_id: usage.charge_of(
            agreements[kept.period.contract_id], kept.period, metered[ids[item_id]], closed_by=None
        )
        for item_id, kept in periods.items()
    }
    return {item_id: charge for item_id, charge in found.items() if charge is not None}


async def follow_run(tx: AsyncConnection, run_id: ReratingRunId, *, at: datetime) -> None:
    """Have periods that an applied run found at their price follow today's terms from now on."""
    periods = await repository.lock_unchanged(tx, run_id)
    contract_ids = {kept.period.contract_id for kept in periods.values()}
    _, agreements = await fact.load_agreements(tx, contract_ids)
    charges = await charges_by(tx, periods, agreements, at=at)
    moved = [
        (periods[item_id], charge)
        for item_id, charge in charges.items()
        if periods[item_id].is_charged(charge)
    ]
    if moved:
        await repository.save_charges(tx, moved, at=at)


async def report_ahead(tx: AsyncConnection, *, at: datetime) -> None:
    """Show lines that have readings of the future, and take out those whose day has come."""
    rows = await repository.ahead(tx, AHEAD, at=at)
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=AHEAD,
                subject_id=row.contract_line_id,
                reason=f"{row.readings} readings of {row.meter} lie in the future, the first at"
                f" {row.first_at:%Y-%m-%d %H:%M} UTC; each counts from its instant on",
                owner="integration",
                advice="check the clock of the meter; correct or withdraw readings that are wrong",
                legal_entity_id=repository.entity_of(row),
                detail={"readings": row.readings},
            )
            for row in rows
            if row.readings
        ),
    )
    gone = [row.contract_line_id for row in rows if not row.readings]
    if gone:
        await exceptions.close(tx, AHEAD, gone)


async def _place(
    tx: AsyncConnection, readings: Sequence[Reading | Refusal]
) -> tuple[list[UsageRecord | Refusal], Mapping[ContractId, Agreement]]:
    """Return each reading on its line and day, or why it has none, and the contracts."""
    sent = [each for each in readings if isinstance(each, Reading)]
    bare = {
        each.contract_line_id for each in sent if each.contract_id is None and each.contract_line_id
    }
    by_line = await repository.contracts_of(tx, bare) if bare else {}
    named = {_contract_of(each, by_line) for each in sent} - {None}
    _, agreements = await fact.load_agreements(tx, [each for each in named if each is not None])
    placed: list[UsageRecord | Refusal] = []
    for each in readings:
        if isinstance(each, Refusal):
            placed.append(each)
            continue
        try:
            placed.append(_record_of(each, agreements, by_line))
        except Refusal as refusal:
            placed.append(refusal)
    return placed, agreements


def _contract_of(
    reading: Reading, by_line: Mapping[ContractLineId, ContractId]
) -> ContractId | None:
    if reading.contract_id is not None or reading.contract_line_id is None:
        return reading.contract_id
    return by_line.get(reading.contract_line_id)


def _record_of(
    reading: Reading,
    agreements: Mapping[ContractId, Agreement],
    by_line: Mapping[ContractLineId, ContractId],
) -> UsageRecord:
    contract_id = _contract_of(reading, by_line)
    if contract_id is None:
        raise LineNotFound(
            "no usage line of a contract in force is named",
            field="contract_line_id",
            advice="name a usage line, or the contract and its meter; contracts are known here once"
            " they are in force",
        )
    agreement = agreements.get(contract_id)
    if agreement is None:
        raise ContractNotFound.of(contract_id)
    require_entity(agreement.newest.legal_entity_id)
    return readings_of.record_of(reading, agreement)


def _decide(
    readings: Sequence[Reading | Refusal],
    placed: Sequence[UsageRecord | Refusal],
    known: Mapping[str, Known],
) -> list[RowResult]:
    fresh: dict[str, UsageRecord] = {}
    results = []
    for reading, record in zip(readings, placed, strict=True):
        if isinstance(record, Refusal) or isinstance(reading, Refusal):
            refusal = record if isinstance(record, Refusal) else None
            results.append(RowResult(None, refusal=refusal))
            continue
        key = record.record_key
        before = known.get(key)
        try:
            added = readings_of.decide(record, reading.corrects, before, fresh.get(key))
        except Refusal as refused:
            results.append(RowResult(None, refusal=refused))
            continue
        if added is not None:
            fresh[key] = added
        kept = added or fresh.get(key) or (before and before.same_as(record)) or record
        results.append(RowResult(kept, is_new=added is not None))
    return results


async def _price_closed(
    tx: AsyncConnection,
    periods: Mapping[UsagePeriodId, Kept],
    agreements: Mapping[ContractId, Agreement],
    *,
    at: datetime,
) -> int:
    """Price those of the periods that are closed; return how many cost something else."""
    closed = {period_id: kept for period_id, kept in periods.items() if kept.is_closed}
    return await _price(tx, closed, agreements, at=at)


async def _price(
    tx: AsyncConnection,
    periods: Mapping[UsagePeriodId, Kept],
    agreements: Mapping[ContractId, Agreement],
    *,
    at: datetime,
) -> int:
    """Price periods by their readings as they are now; return how many closed ones cost otherwise.

    The clock looks once more at those that are not over yet, or whose terms may be missing.
    """
    if not periods:
        return 0
    missing = {kept.period.contract_id for kept in periods.values()} - agreements.keys()
    if missing:
        _, others = await fact.load_agreements(tx, missing)
        agreements = {**agreements, **others}
    metered = await repository.metered(tx, periods.keys(), at=at)
    charged: list[tuple[Kept, Charge]] = []
    pending: list[UsagePeriodId] = []
    for period_id, kept in periods.items():
        charge = usage.charge_of(
            agreements[kept.period.contract_id],
            kept.period,
            metered[period_id],
            closed_by=kept.contract_version,
        )
        if charge is None or not kept.period.is_over(at):
            pending.append(period_id)
        if charge is not None and not kept.is_charged(charge):
            charged.append((kept, charge))
    if charged:
        await repository.save_charges(tx, charged, at=at)
        await _post(tx, charged, at=at)
    await repository.put_pending(tx, periods.keys(), pending)
    return sum(
        kept.is_closed and charge.amount.amount != kept.closed_amount for kept, charge in charged
    )


async def _post(
    tx: AsyncConnection, charged: Sequence[tuple[Kept, Charge]], *, at: datetime
) -> None:
    """Say of things billed before what they cost now, and bill those that were not."""
    ids = [SourceItemId(kept.period.usage_period_id) for kept, _ in charged]
    billed = await standing.load_items(tx, ids)
    steps = [
        SourceStep(
            SourceItemId(kept.period.usage_period_id),
            kept.revision + 1,
            StepState.REPRICED,
            price=charge.amount,
            service_to=kept.period.service.end,
            reason=charge.explanation,
        )
        for kept, charge in charged
        if kept.period.usage_period_id in billed
    ]
    # Nothing metered needs no thing to bill; a later reading makes one.
    items = [
        usage.source_item_of(kept.period, charge)
        for kept, charge in charged
        if kept.period.usage_period_id not in billed and not charge.amount.is_zero
    ]
    if steps:
        corrected = [step.source_item_id for step in steps]
        await lock_ahead(tx, corrected, items, at=at)
        await save.add_steps(tx, steps, at=at)
        await reconsider(tx, corrected, at=at)
    await rate(tx, items, at=at)


async def _report_outside(tx: AsyncConnection, news: Sequence[Agreement]) -> None:
    """Show lines with readings that no period contains, since an end cut them off."""
    rows = await repository.outside(tx, [each.newest.contract_id for each in news])
    await exceptions.open_all(
        tx,
        (
            exceptions.Halt(
                kind=OUTSIDE,
                subject_id=row.contract_line_id,
                reason=f"{row.readings} readings of {row.meter} from {row.first_on} on lie outside"
                " the term of their line and are not billed",
                owner="sales_operations",
                advice="extend the line by a change order, or have the readings withdrawn",
                legal_entity_id=repository.entity_of(row),
                detail={"readings": row.readings},
            )
            for row in rows
        ),
    )
    lines = {line_id for each in news for line_id in each.newest.lines}
    await exceptions.close(tx, OUTSIDE, lines - {row.contract_line_id for row in rows})
