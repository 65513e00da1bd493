"""What was metered and bought before is known by all of its source once brought forward."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from throughline_testing.database import Database

RECORDS = """
    INSERT INTO usage_record
    SELECT gen_random_uuid(), key, 1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '',
           1, '', now(), now(), system, object_type, object_id, 'service:meters', now()
    FROM (VALUES ('crm/1001', 'crm', 'call', '1001'),
                 ('line/instant', NULL, NULL, NULL)) AS sent (key, system, object_type, object_id)
"""

PERIOD = """
    INSERT INTO usage_period (
        usage_period_id, contract_id, contract_line_id, engagement_id, legal_entity_id, time_zone,
        meter, description, service_from, service_to, currency, closed_quantity, closed_amount,
        closed_at)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
           gen_random_uuid(), 'UTC', '', '', day, day + 1, 'EUR', closed, closed,
           CASE WHEN closed IS NOT NULL THEN now() END
    FROM (VALUES (date '2026-09-01', 1), (date '2026-10-01', NULL)) AS period (day, closed)
"""


def upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("billing_event") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_readings_stay_known_and_closed_periods_stay_closed(
    empty_database: Database,
) -> None:
    engine = create_async_engine(empty_database.owner_url)
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, "0024")
        await connection.execute(text(RECORDS))
        await connection.execute(text(PERIOD))
        await connection.commit()
        await connection.run_sync(upgrade, "0027")
        keys = await connection.execute(text("SELECT record_key FROM usage_record ORDER BY 1"))
        assert list(keys.scalars()) == ["crm\x1fcall\x1f1001", "line/instant"]
        periods = await connection.execute(
            text("SELECT is_pending, is_void FROM usage_period ORDER BY service_from")
        )
        assert [tuple(row) for row in periods] == [(False, False), (True, False)]
    await engine.dispose()
