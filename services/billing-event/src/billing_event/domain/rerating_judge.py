"""Posts what a re-rating run was approved to post of a thing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from billing_event.domain.decision import Judge
from billing_event.domain.position import (
    BillingEventId,
    EventKind,
    EventStatus,
    Row,
    live_rows,
    portion_of,
)
from billing_event.domain.rerating import Action, Claims, Comparer, Finding
from billing_event.domain.rerating_part import PartKey, key_of_row
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.review import ids_of
from billing_event.domain.source import CustomerId, SourceItem, SourceItemId
from billing_event.domain.standing import Standing
from billing_event.domain.usage import Charge


class ReratingJudge(Judge):
    """A judge that also rates anew what was rated before."""

    def comparer(self, charges: Mapping[SourceItemId, Charge], *, moves_payers: bool) -> Comparer:
        """Return what compares things by the facts and limits of this judge."""
        return Comparer(self._facts, self._rater, charges, moves_payers=moves_payers)

    def trial(
        self,
        standings: Iterable[Standing],
        claims: Claims,
        comparer: Comparer,
        *,
        run_id: ReratingRunId,
    ) -> list[Finding]:
        """Return what a run finds of things in their order; what the judge decides is not kept.

        Where payers pay up to an amount, what one thing takes is gone for the next: then each is
        posted before the next is compared, as it will be when the run is applied.
        """
        findings, takes_turns = [], self.book.has_payers()
        for standing in standings:
            finding = comparer.compare(standing, claims)
            if finding is None:
                continue
            findings.append(finding)
            if takes_turns and finding.is_postable:
                self.rerate(standing, claims, finding, run_id=run_id, by="")
        return findings

    def rerate(
        self,
        standing: Standing,
        claims: Claims,
        finding: Finding,
        *,
        run_id: ReratingRunId,
        by: str,
    ) -> None:
        """Take back what nobody invoiced and rate the thing anew; correct what is invoiced.

        By difference, what is invoiced stays and rows of the opposite sign take it off, payer by
        payer and rate by rate; by credit and rebill it is taken back like the rest. The new rows
        bill all of the thing, so that a line of an invoice says at which rate. What was released
        before, if only until a fee covered it, passes with the approval of the run by `by`; what
        waited for a person at the checkpoint, perhaps taken back from there, still does.
        """
        live, rated = live_rows(standing.rows), self.decision.rated
        self.decision.cleared += ids_of(standing.item_holds)
        is_difference = finding.action in (Action.DEBIT, Action.CREDIT)
        kept = [row for row in live if is_difference and claims.is_claimed(row)]
        kept_ids = {row.billing_event_id for row in kept}
        taken = [row for row in live if row.billing_event_id not in kept_ids]
        start, last = len(rated), max(row.part for row in standing.rows)
        for part, row in enumerate(taken, start=last + 1):
            self._take_back(row, finding.item, part)
        self._take_off(kept, finding.item, after=last + len(taken))
        first_new = len(rated)
        self._rate(finding.item, after=last + first_new - start)
        self.decision.carry_over(taken, first_new)
        adjusted = _first_of_payers(kept)
        before = {row.status for row in live or standing.rows}
        for index in range(start, len(rated)):
            row = rated[index]
            corrects = adjusted.get(row.rating.bill_to_customer_id)
            if index >= first_new and corrects is not None:
                row = replace(row, kind=EventKind.ADJUSTMENT, adjusts=corrects)
            if EventStatus.RELEASED in before:
                row = _passed(row, by=by)
            elif EventStatus.ELIGIBLE in before and row.status is EventStatus.RELEASED:
                row = replace(row, status=EventStatus.ELIGIBLE, released_by="")
            rated[index] = replace(row, rerating_run_id=run_id)

    def _take_off(self, kept: Sequence[Row], item: SourceItem, *, after: int) -> None:
        """Add the rows that take off what is invoiced, one for each payer and rate."""
        groups: dict[PartKey, list[Row]] = {}
        for row in kept:
            groups.setdefault(key_of_row(row), []).append(row)
        for rows in groups.values():
            quantity = sum(row.quantity for row in rows)
            if not quantity:
                continue  # An earlier run took it off.
            after += 1
            rating, minutes = rows[0].rating, sum(row.minutes for row in rows)
            off = portion_of(rating.unit_rate, -quantity, minutes=-minutes)
            taken = len(self.book.reservations)
            self._add(item, rating, after, EventKind.ADJUSTMENT, off, ())
            self.decision.rated[-1] = replace(
                self.decision.rated[-1], adjusts=rows[0].billing_event_id
            )
            if len(self.book.reservations) > taken:
                self.book.given_back.add(rating.contract_id)


def _first_of_payers(kept: Sequence[Row]) -> dict[CustomerId, BillingEventId]:
    """Return the first invoiced row of each payer: the one that what is billed anew corrects."""
    found: dict[CustomerId, BillingEventId] = {}
    for row in kept:
        found.setdefault(row.rating.bill_to_customer_id, row.billing_event_id)
    return found


def _passed(row: Row, *, by: str) -> Row:
    """Return a row that nothing holds as released by whoever approved the run."""
    if row.status not in (EventStatus.ELIGIBLE, EventStatus.RELEASED):
        return row
    return replace(row, status=EventStatus.RELEASED, released_by=by)
