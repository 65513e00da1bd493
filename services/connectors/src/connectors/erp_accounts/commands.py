"""What a caller may ask of ERP policies and accounts."""

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import repository as links
from connectors.erp_accounts import domain, repository
from connectors.erp_accounts.domain import ErpAccount, ErpPolicy, Key
from throughline_runtime.identity import require_entity


async def put_policy(tx: AsyncConnection, wanted: ErpPolicy) -> ErpPolicy:
    """Say what a legal entity wants of its ERP; the version of `wanted` is set here.

    Raises:
        EntityForbidden: the caller may not act for the entity.
        StaleVersion: another writer changed it first; safe to retry.
    """
    require_entity(wanted.legal_entity_id)
    known = await repository.get_policy(tx, wanted.legal_entity_id)
    policy = domain.following(known, wanted)
    await repository.put_policy(tx, policy)
    return policy


async def put_account(tx: AsyncConnection, key: Key, account: str) -> ErpAccount:
    """Record a customer's account, and announce the link if it is new.

    Raises:
        EntityForbidden: the caller may not act for the entity.
        NoErp, AccountTaken, AccountExists: see `domain.record`.
    """
    require_entity(key.legal_entity_id)
    await repository.lock_customer(tx, key)
    facts = (await repository.facts_of(tx, [key]))[key]
    system = facts.policy.system if facts.policy else ""
    holder = await repository.holder_of(tx, system, account)
    await links.link(tx, [domain.record(key, account, facts, holder=holder)])
    return domain.judge(key, (await repository.facts_of(tx, [key]))[key])
