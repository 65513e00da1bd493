"""Customers as they are known here, and how projects follow what they depend on."""

from typing import Final

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKey, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from project_provisioning.tables.columns import (
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

customer: Final = table(
    "customer",
    key("customer_id"),
    version(),
    text_column("number"),
    text_column("name"),
    id_of("parent_customer_id", nullable=True),
    id_of("bill_to_customer_id", nullable=True),
    id_of("payer_customer_id", nullable=True),
    text_column("address"),
    text_column("tax_id"),
    text_column("tax_status"),
    day("ended_on", nullable=True),
    flag("credit_hold"),
    text_column("credit_hold_reason"),
    Index(
        "customer_stopped",
        "customer_id",
        postgresql_where=text("credit_hold OR ended_on IS NOT NULL"),
    ),
)

party_following: Final = table(
    "party_following",
    Column("party", Text, primary_key=True),
    key("party_id"),
    instant("noted_at", default=True),
)

project_change: Final = table(
    "project_change",
    key("project_change_id"),
    ref("project_id", "project"),
    Column("project_version", BigInteger, nullable=False),
    text_column("kind"),
    id_of("subject_id", nullable=True),
    Column("subject_version", BigInteger, nullable=False),
    Column("facts", JSONB, nullable=False),
    text_column("reason"),
    text_column("changed_by"),
    instant("changed_at"),
    Column("handover_id", Uuid, ForeignKey("manager_handover.handover_id")),
    Index("project_change_by_project", "project_id", "project_change_id"),
    comment="append-only: what each project followed, and when",
)

manager_handover: Final = table(
    "manager_handover",
    key("handover_id"),
    version(),
    text_column("status"),
    Column("from_person_id", Uuid, ForeignKey("person.person_id"), nullable=False),
    Column("to_person_id", Uuid, ForeignKey("person.person_id"), nullable=False),
    id_of("legal_entity_id", nullable=True),
    id_of("customer_id", nullable=True),
    Column("project_ids", ARRAY(Uuid), nullable=False),
    Column("entities", ARRAY(Uuid)),
    day("effective_on"),
    text_column("reason"),
    whole("moved_projects"),
    Column("pending", JSONB, nullable=False),
    text_column("requested_by"),
    instant("requested_at"),
    instant("finished_at", nullable=True),
    Index(
        "manager_handover_due",
        "effective_on",
        "handover_id",
        postgresql_where=text("status IN ('waiting', 'running')"),
    ),
)
