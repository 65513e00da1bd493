"""How limits are enforced, and what was told of them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.limit import LimitAccountId
from billing_event.domain.limit_usage import Alert, Enforcement, LimitNotFound, Settings, Usage
from billing_event.domain.source import ContractId, CustomerId
from billing_event.repository.limit import USAGE, enforced_of, usage_from
from throughline_runtime.identity import require_entity

_SAVE_ALERTS: Final = text("""
    UPDATE limit_account SET alerted_percent = alert.percent,
        alert_version = alert_version + alert.told
    FROM unnest(CAST(:limit_account_ids AS uuid[]), CAST(:percents AS integer[]),
                CAST(:tolds AS integer[])) AS alert (limit_account_id, percent, told)
    WHERE limit_account.limit_account_id = alert.limit_account_id
""")

_LOCK: Final = text("""
    SELECT account.limit_account_id, account.legal_entity_id, account.settings_version AS version,
           account.enforcement, account.tolerance_percent, account.alert_percents
    FROM limit_account AS account WHERE limit_account_id = :limit_account_id FOR UPDATE
""")

_OWNER: Final = text("""
    SELECT contract_id, customer_id FROM limit_account
    WHERE limit_account_id = :limit_account_id
""")

_APPLY: Final = text(f"""
    UPDATE limit_account SET
        enforcement = wanted.enforcement, tolerance_percent = wanted.tolerance_percent,
        alert_percents = :alert_percents, settings_version = :version,
        enforced = CASE WHEN agreed IS NOT NULL THEN {enforced_of("agreed", settings="wanted")} END
    FROM (SELECT CAST(:enforcement AS text) AS enforcement,
                 CAST(:tolerance_percent AS numeric) AS tolerance_percent) AS wanted
    WHERE limit_account_id = :limit_account_id
    RETURNING {
    USAGE.replace(" enforcement", " wanted.enforcement").replace(
        " tolerance_percent", " wanted.tolerance_percent"
    )
}
""")

# Everything a limit stops is looked at again as if its contract's terms had changed.
_WAKE: Final = text("""
    UPDATE contract_state SET epoch = :epoch
    FROM limit_account AS account
    WHERE account.limit_account_id = :limit_account_id
      AND contract_state.epoch < :epoch
      AND (contract_state.contract_id = account.contract_id
           OR account.contract_id IS NULL AND EXISTS (
               SELECT FROM hold JOIN billing_event USING (billing_event_id)
               WHERE hold.contract_id = contract_state.contract_id AND hold.cleared_at IS NULL
                 AND hold.reason = 'limit_exceeded'
                 AND billing_event.bill_to_customer_id = account.customer_id))
""")


async def save_alerts(tx: AsyncConnection, alerts: Sequence[Alert]) -> None:
    """Keep up to which threshold limits were told of."""
    await tx.execute(
        _SAVE_ALERTS,
        {
            "limit_account_ids": [each.usage.limit.limit_account_id for each in alerts],
            "percents": [each.reached_percent for each in alerts],
            "tolds": [len(each.crossings) for each in alerts],
        },
    )


async def owner_of(
    tx: AsyncConnection, limit_account_id: LimitAccountId
) -> tuple[ContractId | None, CustomerId | None]:
    """Return the contract a limit belongs to, None where it is over a customer's contracts.

    And the customer, or payer of the contract, that it is of, if it is one's.
    """
    row = (await tx.execute(_OWNER, {"limit_account_id": limit_account_id})).one_or_none()
    return (None, None) if row is None else (row.contract_id, row.customer_id)


async def lock_settings(tx: AsyncConnection, limit_account_id: LimitAccountId) -> Settings:
    """Lock a limit and return how it is enforced.

    Raises:
        LimitNotFound: there is no such limit.
        EntityForbidden: it is not for the caller.
    """
    row = (await tx.execute(_LOCK, {"limit_account_id": limit_account_id})).one_or_none()
    if row is None:
        raise LimitNotFound(f"limit {limit_account_id} does not exist", field="limit_account_id")
    require_entity(row.legal_entity_id)
    return Settings(
        limit_account_id,
        row.version,
        Enforcement(row.enforcement),
        row.tolerance_percent,
        tuple(row.alert_percents),
    )


async def save_settings(tx: AsyncConnection, settings: Settings) -> Usage:
    """Enforce a locked limit by these settings, keep them, and return what is used of it."""
    values = {
        "limit_account_id": settings.limit_account_id,
        "version": settings.version,
        "enforcement": settings.enforcement,
        "tolerance_percent": settings.tolerance_percent,
        "alert_percents": list(settings.alert_percents),
    }
    applied = await tx.execute(_APPLY, values)
    usage = usage_from(applied.one())
    await tx.execute(
        insert(tables.limit_setting).values(
            **values, reason=settings.reason, set_by=settings.set_by, set_at=settings.set_at
        )
    )
    return usage


async def wake(tx: AsyncConnection, limit_account_id: LimitAccountId, *, epoch: int) -> None:
    """Have what a limit stops judged again, by the facts of `epoch`."""
    await tx.execute(_WAKE, {"limit_account_id": limit_account_id, "epoch": epoch})
