"""Terms kept before payers were billed say who pays once the service is brought forward."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from billing_event_builders import CONTRACT, CUSTOMER, ENTITY, NOW, a_contract, an_id
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from throughline_testing.database import Database


def upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("billing_event") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_every_payer_of_known_terms_is_kept(empty_database: Database) -> None:
    contract = a_contract()
    for suffix in ("c2", "c3"):
        contract.payers.add(customer_id=str(an_id(suffix)), share_percent="50")
    engine = create_async_engine(empty_database.owner_url)
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, "0010")
        await connection.execute(
            text("""
                INSERT INTO contract_terms
                VALUES (:contract, 1, :customer, :entity, 'Europe/Berlin', :terms, 1, :at)
            """),
            {
                "contract": CONTRACT,
                "customer": CUSTOMER,
                "entity": ENTITY,
                "terms": contract.SerializeToString(),
                "at": NOW,
            },
        )
        await connection.commit()
        await connection.run_sync(upgrade, "0011")
        kept = await connection.execute(
            text("SELECT contract_id, customer_id FROM contract_payer ORDER BY customer_id")
        )
        assert [tuple(row) for row in kept] == [
            (CONTRACT, CUSTOMER),
            (CONTRACT, an_id("c2")),
            (CONTRACT, an_id("c3")),
        ]
    await engine.dispose()
