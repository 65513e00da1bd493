"""What other services own and invoices need: entities, customers, terms, released work."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from invoice_payment.tables.columns import (
    days,
    ids,
    instant,
    integers,
    numbers,
    table,
    texts,
    version,
)
from throughline_runtime.schema import APPEND_ONLY

legal_entity: Final = table(
    "legal_entity",
    Column("legal_entity_id", Uuid, primary_key=True),
    version(),
    *texts("code", "name", "currency", "time_zone"),
    Column("address", JSONB, nullable=False),
    *texts("tax_id", "registration", "iban", "bic", "email"),
    Index("legal_entity_by_code", "code"),
)

customer: Final = table(
    "customer",
    Column("customer_id", Uuid, primary_key=True),
    version(),
    *texts("name"),
    Column("address", JSONB, nullable=False),
    *texts("tax_id"),
    Column("is_registered", Boolean, nullable=False),
    *integers("payment_terms_days", nullable=True),
)

contract_terms: Final = table(
    "contract_terms",
    Column("contract_id", Uuid, primary_key=True),
    version(),
    *texts("number"),
    *ids("legal_entity_id"),
    *texts("currency"),
    *integers("payment_terms_days"),
    *texts("purchase_order_number", "invoice_grouping", "line_detail"),
    *ids("engagement_id", "correlation_id"),
    Column("lines", JSONB, nullable=False),
    *ids("bill_to_customer_id", nullable=True),
    Column("rerating_policy", Text, nullable=False, server_default="debit_credit"),
)

billable_item: Final = table(
    "billable_item",
    Column("billing_event_id", Uuid, primary_key=True),
    *ids("batch_id", "source_item_id"),
    *texts("type", "kind"),
    *ids(
        "contract_id",
        "contract_line_id",
        "quote_line_id",
        "engagement_id",
        "correlation_id",
        "bill_to_customer_id",
        "legal_entity_id",
    ),
    *ids("project_id", "person_id", nullable=True),
    *texts("person_name", "role", "description"),
    *days("service_from", "service_to", "billable_on"),
    *numbers("quantity"),
    *texts("unit"),
    *numbers("unit_rate"),
    *texts("currency"),
    *numbers("amount", "recognised_amount"),
    *texts("tax_category"),
    instant("released_at"),
    *ids("reverses_billing_event_id", nullable=True),
    Column("portion", Integer, primary_key=True, server_default="0"),
    Column("row_version", BigInteger, nullable=False, server_default="1"),
    Column("treatment", Text, nullable=False, server_default="invoiced"),
    Column("purchase_order_number", Text, nullable=False, server_default=""),
    *ids("rerating_run_id", "returned_by", "taken_back_by", nullable=True),
    Index("billable_item_by_contract", "legal_entity_id", "contract_id", "billable_on"),
    Index(
        "billable_item_rerated",
        "contract_id",
        "billing_event_id",
        postgresql_where=text(
            "rerating_run_id IS NOT NULL AND reverses_billing_event_id IS NOT NULL"
        ),
    ),
    Index(
        "billable_item_reversed_once",
        "reverses_billing_event_id",
        "portion",
        unique=True,
        postgresql_where=text("reverses_billing_event_id IS NOT NULL"),
    ),
    Index("billable_item_by_customer", "bill_to_customer_id"),
    Index("billable_item_by_service", "contract_id", "service_from", "billing_event_id"),
    comment=f"{APPEND_ONLY}: released billing events, each to be invoiced once",
)

netted_item: Final = table(
    "netted_item",
    Column("billing_event_id", Uuid, primary_key=True),
    Column("portion", Integer, primary_key=True, server_default="0"),
    *ids("counterpart_id"),
    instant("netted_at"),
    ForeignKeyConstraint(
        ["billing_event_id", "portion"],
        ["billable_item.billing_event_id", "billable_item.portion"],
        name="netted_item_portion_fkey",
    ),
    comment=f"{APPEND_ONLY}: what cancelled stays cancelled",
)

retracted_item: Final = table(
    "retracted_item",
    Column("billing_event_id", Uuid, primary_key=True),
    Column("withdrawn_version", BigInteger, nullable=False),
    Column("written_off_version", BigInteger, nullable=False),
    Column("undone_version", BigInteger, nullable=False),
)

item_set_aside: Final = table(
    "item_set_aside",
    Column("billing_event_id", Uuid, primary_key=True),
    instant("until"),
)
