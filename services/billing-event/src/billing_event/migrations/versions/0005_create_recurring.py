"""The billing calendar of recurring lines."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"

_RECURRING = """
-- A period is charged once it has a source item of the same id; until then newer terms may move it.
CREATE TABLE recurring_period (
    recurring_period_id uuid    PRIMARY KEY,
    contract_id         uuid    NOT NULL,
    contract_line_id    uuid    NOT NULL,
    contract_version    integer NOT NULL CHECK (contract_version > 0),
    engagement_id       uuid    NOT NULL,
    legal_entity_id     uuid    NOT NULL,
    time_zone           text    NOT NULL,
    service_from        date    NOT NULL,
    service_to          date    NOT NULL CHECK (service_from < service_to),
    due_on              date    NOT NULL CHECK (due_on >= service_from AND due_on < service_to),
    amount              numeric NOT NULL CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    currency            text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    description         text    NOT NULL,
    explanation         text    NOT NULL
);
CREATE INDEX recurring_period_by_due ON recurring_period (due_on, recurring_period_id);
CREATE INDEX recurring_period_by_contract ON recurring_period (contract_id);
"""


def upgrade() -> None:
    run_sql(op, _RECURRING)
