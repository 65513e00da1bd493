"""The firm's companies, employment, skills, calendars, leave, rules, costs, locks and exchange."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from project_provisioning.tables.columns import (
    amount,
    day,
    flag,
    id_of,
    instant,
    key,
    ref,
    table,
    text_column,
    version,
    whole,
)

legal_entity: Final = table(
    "legal_entity",
    key("legal_entity_id"),
    version(),
    text_column("code"),
    text_column("currency"),
    text_column("time_zone"),
    text_column("country"),
    text_column("holiday_country"),
    text_column("holiday_subdivision"),
    Column("working_days", ARRAY(Integer), nullable=False),
    text_column("name"),
    day("closed_through", nullable=True),
)

work_calendar: Final = table(
    "work_calendar",
    Column("code", Text, primary_key=True),
    version(),
    text_column("name"),
    text_column("country"),
    text_column("subdivision"),
    Column("weekday_minutes", ARRAY(Integer), nullable=False),
    Column("days_off", ARRAY(Date), nullable=False),
)

employment: Final = table(
    "employment",
    ref("person_id", "person", primary_key=True),
    Column("valid_from", Date, primary_key=True),
    day("valid_to", nullable=True),
    id_of("legal_entity_id"),
    text_column("role"),
    text_column("level"),
    text_column("region"),
    Column("manager_person_id", Uuid, ForeignKey("person.person_id")),
    Column("work_calendar", Text, ForeignKey("work_calendar.code")),
    Column("weekday_minutes", ARRAY(Integer)),
    Index("employment_by_entity", "legal_entity_id", "person_id"),
    Index(
        "employment_by_manager",
        "manager_person_id",
        postgresql_where=text("manager_person_id IS NOT NULL"),
    ),
)

skill: Final = table(
    "skill",
    Column("code", Text, primary_key=True),
    version(),
    text_column("name"),
    text_column("category"),
    Column("levels", ARRAY(Text), nullable=False),
    flag("retired"),
)

person_skill: Final = table(
    "person_skill",
    ref("person_id", "person", primary_key=True),
    Column("skill_code", Text, ForeignKey("skill.code"), primary_key=True),
    whole("level"),
    day("valid_from"),
    day("valid_to", nullable=True),
    day("certified_on", nullable=True),
    text_column("certificate"),
    Index("person_skill_by_skill", "skill_code", "level"),
)

leave: Final = table(
    "leave",
    key("leave_id"),
    version(),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    text_column("kind"),
    day("starts_on"),
    day("ends_on"),
    flag("half_days"),
    text_column("status"),
    text_column("requested_by"),
    instant("requested_at"),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    text_column("decision_reason", nullable=True),
    text_column("source_system", nullable=True),
    text_column("source_object_type", nullable=True),
    text_column("source_object_id", nullable=True),
    Index("leave_source", "source_system", "source_object_type", "source_object_id", unique=True),
    Index("leave_by_person", "person_id", "starts_on"),
)

rule_set: Final = table(
    "rule_set",
    key("rule_set_id"),
    text_column("kind"),
    text_column("scope"),
    id_of("legal_entity_id", nullable=True),
    text_column("country", nullable=True),
    whole("version"),
    day("effective_from"),
    text_column("status"),
    Column("rules", JSONB, nullable=False),
    text_column("proposed_by"),
    instant("proposed_at"),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    UniqueConstraint("kind", "scope", "version"),
    Index("rule_set_by_kind", "kind", "rule_set_id"),
)

person_cost: Final = table(
    "person_cost",
    ref("person_id", "person", primary_key=True),
    Column("valid_from", Date, primary_key=True),
    day("valid_to", nullable=True),
    id_of("legal_entity_id"),
    amount("hourly_cost"),
    text_column("currency"),
    whole("decimals"),
    text_column("recorded_by"),
    instant("recorded_at"),
)

standard_cost_card: Final = table(
    "standard_cost_card",
    key("legal_entity_id"),
    id_of("cost_rate_card_id"),
    version(),
)

standard_cost: Final = table(
    "standard_cost",
    ref("legal_entity_id", "standard_cost_card", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    text_column("role"),
    text_column("level", nullable=True),
    text_column("region", nullable=True),
    amount("hourly_cost"),
    text_column("currency"),
    whole("decimals"),
    day("valid_from"),
    day("valid_to", nullable=True),
)

time_cost: Final = table(
    "time_cost",
    key("time_entry_id"),
    id_of("person_id"),
    id_of("legal_entity_id"),
    id_of("project_id"),
    id_of("task_id"),
    id_of("engagement_id"),
    day("work_date"),
    whole("minutes"),
    flag("billable"),
    amount("hourly_cost"),
    text_column("currency"),
    amount("amount"),
    text_column("origin"),
    Column("card_version", BigInteger),
    instant("costed_at", default=True),
    Index("time_cost_by_project", "project_id", "work_date"),
    Index("time_cost_by_person", "person_id", "work_date"),
    comment="append-only: a reversal is a row of its own, at the first cost",
)

time_cost_missing: Final = table(
    "time_cost_missing",
    key("time_entry_id"),
    id_of("person_id"),
    day("work_date"),
    Index("time_cost_missing_by_person", "person_id"),
)

period_lock: Final = table(
    "period_lock",
    key("legal_entity_id"),
    version(),
    day("open_from"),
    text_column("changed_by"),
    instant("changed_at"),
)

period_lock_change: Final = table(
    "period_lock_change",
    key("legal_entity_id"),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    day("open_from"),
    Column("reopened", Boolean, nullable=False),
    text_column("reason"),
    text_column("changed_by"),
    instant("changed_at"),
    comment="append-only: every move of a lock date",
)

exchange_rate: Final = table(
    "exchange_rate",
    Column("base", Text, primary_key=True),
    Column("quote", Text, primary_key=True),
    Column("rate_on", Date, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("rate", Numeric(20, 10), nullable=False),
    text_column("recorded_by"),
    instant("recorded_at"),
    Index("exchange_rate_by_day", "rate_on", "base", "quote", "source"),
)
