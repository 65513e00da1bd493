"""ErpAccountService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors.erp_accounts import commands, domain, repository
from connectors.erp_accounts.domain import ErpAccount, ErpAccountState, ErpPolicy, Key
from throughline.connectors.v1 import erp_account_service_pb2 as pb
from throughline.connectors.v1.erp_account_service_pb2_grpc import ErpAccountServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import EnumMap, read_optional_uuid, read_uuid, write_instant
from throughline_runtime.identity import require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import next_token, read_page

STATES: Final = EnumMap(pb.ErpAccountState, ErpAccountState)


class ErpAccountServicer(ErpAccountServiceServicer):
    """ERP policies and accounts."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def PutErpPolicy(
        self, request: pb.PutErpPolicyRequest, context: object
    ) -> pb.PutErpPolicyResponse:
        wanted = ErpPolicy(
            legal_entity_id=read_uuid("legal_entity_id", request.legal_entity_id),
            version=0,
            system=request.system,
            account_required=request.account_required,
        )

        async def handle(tx: AsyncConnection) -> pb.PutErpPolicyResponse:
            policy = await commands.put_policy(tx, wanted)
            return pb.PutErpPolicyResponse(policy=_write_policy(policy))

        return await once(self._engine, request, pb.PutErpPolicyResponse, handle)

    async def ListErpPolicies(
        self, request: pb.ListErpPoliciesRequest, context: object
    ) -> pb.ListErpPoliciesResponse:
        page = read_page(request)
        after = read_optional_uuid("page_token", page.after[0] if page.after else "")
        async with read(self._engine) as tx:
            found = await repository.policies(
                tx, after=after, limit=page.size + 1, entities=visible_entities()
            )
        shown = found[: page.size]
        return pb.ListErpPoliciesResponse(
            policies=map(_write_policy, shown),
            next_page_token=(
                next_token(shown[-1].legal_entity_id) if len(found) > page.size else ""
            ),
        )

    async def PutErpAccount(
        self, request: pb.PutErpAccountRequest, context: object
    ) -> pb.PutErpAccountResponse:
        key = _read_key(request)

        async def handle(tx: AsyncConnection) -> pb.PutErpAccountResponse:
            account = await commands.put_account(tx, key, request.account)
            return pb.PutErpAccountResponse(account=_write_account(account))

        return await once(self._engine, request, pb.PutErpAccountResponse, handle)

    async def GetErpAccount(
        self, request: pb.GetErpAccountRequest, context: object
    ) -> pb.GetErpAccountResponse:
        key = _read_key(request)
        require_entity(key.legal_entity_id)
        async with read(self._engine) as tx:
            facts = await repository.facts_of(tx, [key])
        return pb.GetErpAccountResponse(account=_write_account(domain.judge(key, facts[key])))

    async def CheckErpAccounts(
        self, request: pb.CheckErpAccountsRequest, context: object
    ) -> pb.CheckErpAccountsResponse:
        keys = [_read_key(key) for key in request.keys]
        for key in keys:
            require_entity(key.legal_entity_id)
        async with read(self._engine) as tx:
            facts = await repository.facts_of(tx, keys)
        return pb.CheckErpAccountsResponse(
            accounts=[_write_account(domain.judge(key, facts[key])) for key in keys]
        )


def _read_key(
    request: pb.PutErpAccountRequest | pb.GetErpAccountRequest | pb.ErpAccountKey,
) -> Key:
    return Key(
        read_uuid("customer_id", request.customer_id),
        read_uuid("legal_entity_id", request.legal_entity_id),
    )


def _write_policy(policy: ErpPolicy) -> pb.ErpPolicy:
    return pb.ErpPolicy(
        legal_entity_id=str(policy.legal_entity_id),
        version=policy.version,
        system=policy.system,
        account_required=policy.account_required,
    )


def _write_account(account: ErpAccount) -> pb.ErpAccount:
    return pb.ErpAccount(
        customer_id=str(account.key.customer_id),
        legal_entity_id=str(account.key.legal_entity_id),
        state=STATES.write(account.state),
        system=account.system,
        account=account.account,
        recorded_at=write_instant(account.recorded_at),
    )
