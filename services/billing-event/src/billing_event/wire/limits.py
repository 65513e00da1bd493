"""Limits as they are published and replied."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row

from billing_event.domain.customer_limit import Proposal
from billing_event.domain.limit import EntryKind, LimitScope
from billing_event.domain.limit_usage import Crossing, Enforcement
from billing_event.domain.proposal import DecisionStatus
from throughline.billing_event.events.v1 import billing_event_events_pb2 as events
from throughline.billing_event.v1 import limit_service_pb2 as pb
from throughline.common.v1 import money_pb2
from throughline_core.money import Money
from throughline_core.rounding import round_half_away
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
    write_optional_money,
)

SCOPES: Final = EnumMap(pb.LimitScope, LimitScope)
ENFORCEMENTS: Final = EnumMap(pb.LimitEnforcement, Enforcement)
ENTRY_KINDS: Final = EnumMap(pb.LimitEntryKind, EntryKind)
PROPOSAL_STATUSES: Final = EnumMap(pb.CustomerLimitProposalStatus, DecisionStatus)

_HUNDRED: Final = Decimal(100)


def threshold_reached(crossing: Crossing, *, at: datetime) -> Outgoing:
    """Return the event that tells of a threshold."""
    usage = crossing.usage
    limit, currency = usage.limit, usage.limit.agreed.currency
    message = events.LimitThresholdReached(
        limit_account_id=str(limit.limit_account_id),
        version=crossing.version,
        contract_id=write_id(limit.contract_id) or None,
        contract_line_id=write_id(limit.contract_line_id) or None,
        legal_entity_id=str(limit.legal_entity_id),
        threshold_percent=str(crossing.threshold_percent),
        reached=crossing.reached,
        enforced=write_money(Money(usage.enforced or Decimal(0), currency)),
        taken=write_money(Money(usage.taken, currency)),
        at=write_instant(at),
    )
    return Outgoing(message, limit.limit_account_id, crossing.version)


def write_limit(row: Row[Any]) -> pb.Limit:
    """Return the limit of a row of `limit_account`."""

    def money(amount: Decimal | None) -> money_pb2.Money | None:
        return None if amount is None else write_money(Money(amount, row.currency))

    taken = row.reserved + row.committed
    used = round_half_away(taken * _HUNDRED / row.agreed, 2) if row.agreed else None
    return pb.Limit(
        limit_account_id=str(row.limit_account_id),
        contract_id=write_id(row.contract_id),
        contract_line_id=write_id(row.contract_line_id) or None,
        legal_entity_id=str(row.legal_entity_id),
        agreed=money(row.agreed),
        enforced=money(row.enforced),
        reserved=money(row.reserved),
        committed=money(row.committed),
        available=None if row.enforced is None else money(row.enforced - taken),
        contract_version=row.contract_version or 0,
        scope=SCOPES.write(LimitScope(row.scope)),
        purchase_order_number=row.purchase_order_number or "",
        customer_id=write_id(row.customer_id) or None,
        category=row.category or "",
        person_id=write_id(row.person_id) or None,
        day=write_date(row.day) or None,
        enforcement=ENFORCEMENTS.write(Enforcement(row.enforcement)),
        tolerance_percent=write_decimal(row.tolerance_percent),
        alert_percents=row.alert_percents,
        used_percent="" if used is None else write_decimal(used),
        alerted_percent=row.alerted_percent,
        settings_version=row.settings_version,
    )


def write_entry(row: Row[Any], *, currency: str) -> pb.LimitEntry:
    """Return the line of a statement of a row of `limit_entry`."""
    return pb.LimitEntry(
        kind=ENTRY_KINDS.write(EntryKind(row.kind)),
        billing_event_id=str(row.billing_event_id),
        cause_id=str(row.cause_id),
        amount=write_money(Money(row.amount, currency)),
        recorded_at=write_instant(row.recorded_at),
    )


def write_settings(row: Row[Any]) -> pb.LimitSettings:
    """Return the settings of a row of `limit_setting`."""
    return pb.LimitSettings(
        version=row.version,
        enforcement=ENFORCEMENTS.write(Enforcement(row.enforcement)),
        tolerance_percent=write_decimal(row.tolerance_percent),
        alert_percents=row.alert_percents,
        reason=row.reason,
        set_by=row.set_by,
        set_at=write_instant(row.set_at),
    )


def write_proposal(proposal: Proposal) -> pb.CustomerLimitProposal:
    """Return a proposal of a limit as it is replied."""
    framework = proposal.framework
    return pb.CustomerLimitProposal(
        customer_limit_proposal_id=str(proposal.customer_limit_proposal_id),
        version=proposal.version,
        status=PROPOSAL_STATUSES.write(proposal.status),
        limit_account_id=str(framework.limit_account_id),
        customer_id=str(framework.customer_id),
        legal_entity_id=str(framework.legal_entity_id),
        currency=framework.currency,
        not_to_exceed=write_optional_money(proposal.amount),
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        proposed_at=write_instant(proposal.proposed_at),
        decided_by=proposal.decided_by,
        decided_at=write_instant(proposal.decided_at),
        comment=proposal.comment,
    )
