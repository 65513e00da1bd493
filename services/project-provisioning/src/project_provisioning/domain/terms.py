"""Terms: what delivery needs to know of a contract, or of a quote that may become one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from project_provisioning.domain.template import BillingModel
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class SoldMilestone:
    """A part of a fixed fee: its amount, or its share of the line's net total in percent."""

    key: str
    name: str
    share_percent: Decimal | None
    due_on: date | None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class SoldRole:
    """A role whose rate was agreed, for one person or anybody; hours are zero when left open."""

    role: str
    planned_hours: Decimal
    person_id: UUID | None = None


class Workstream(NamedTuple):
    """Who delivers, and where: each one becomes a project of its own. An empty region is any."""

    legal_entity_id: UUID
    region: str


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One contract line. `[starts_on, ends_on)` is its term; `ended_on` cuts it short."""

    contract_line_id: UUID
    quote_line_id: UUID
    position: int
    description: str
    billing_model: BillingModel
    template_code: str
    quantity: Decimal
    net_total: Money
    milestones: tuple[SoldMilestone, ...]
    roles: tuple[SoldRole, ...]
    starts_on: date
    ends_on: date
    legal_entity_id: UUID
    region: str = ""
    billed_by_milestones: bool = True
    cost_budget: Money | None = None
    ended_on: date | None = None

    @property
    def workstream(self) -> Workstream:
        """Who delivers it, and where."""
        return Workstream(self.legal_entity_id, self.region)

    @property
    def needs_milestones(self) -> bool:
        """Whether nothing could ever be billed on the line without milestones."""
        return self.billing_model is BillingModel.FIXED_FEE and self.billed_by_milestones

    @property
    def hours_by_role(self) -> Mapping[str, Decimal]:
        """Hours agreed by role; roles whose hours were left open are not in it."""
        hours: defaultdict[str, Decimal] = defaultdict(Decimal)
        for sold in self.roles:
            if sold.planned_hours > 0:
                hours[sold.role] += sold.planned_hours
        return hours

    @property
    def values(self) -> Mapping[str, Decimal]:
        """What formulas of templates may refer to."""
        return {
            "quantity": self.quantity,
            "net_total": self.net_total.amount,
            "planned_hours": sum(self.hours_by_role.values(), Decimal(0)),
            "term_days": Decimal((self.ends_on - self.starts_on).days),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of a contract's terms. `[starts_on, ends_on)` is its term."""

    contract_id: UUID
    contract_version: int
    contract_number: str
    engagement_id: UUID
    correlation_id: UUID
    customer_id: UUID
    bill_to_customer_id: UUID
    legal_entity_id: UUID
    currency: str
    time_zone: str
    starts_on: date
    ends_on: date
    lines: tuple[SoldLine, ...]

    @property
    def template_codes(self) -> tuple[str, ...]:
        """Codes of the templates its lines name, each once, sorted."""
        return tuple(sorted({line.template_code for line in self.lines}))

    @property
    def named_persons(self) -> frozenset[UUID]:
        """People for whom a rate was agreed."""
        return frozenset(
            sold.person_id
            for line in self.lines
            for sold in line.roles
            if sold.person_id is not None
        )

    @property
    def workstreams(self) -> Mapping[Workstream, Sequence[SoldLine]]:
        """Lines by who delivers them and where, both in the order of the contract."""
        streams: defaultdict[Workstream, list[SoldLine]] = defaultdict(list)
        for line in sorted(self.lines, key=lambda line: line.position):
            streams[line.workstream].append(line)
        return streams
