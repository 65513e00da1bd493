"""ExchangePolicyService."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import exchange as commands
from billing_event.domain.exchange import (
    DAYS_MAX_DEFAULT,
    EXCHANGE_PLACES,
    DateRule,
    ExchangePolicy,
    PolicyInconsistent,
)
from billing_event.domain.source import LegalEntityId
from billing_event.repository import exchange as repository
from throughline.billing_event.v1 import exchange_policy_service_pb2 as pb
from throughline.billing_event.v1.exchange_policy_service_pb2_grpc import (
    ExchangePolicyServiceServicer,
)
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    read_uuid,
    write_decimal,
    write_instant,
)
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import next_token, read_page

_RULES = EnumMap(pb.ExchangeDateRule, DateRule)


class ExchangePolicyServicer(ExchangePolicyServiceServicer):
    """By which rates prices are converted."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PutExchangePolicy(
        self, request: pb.PutExchangePolicyRequest, context: object
    ) -> pb.PutExchangePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        terms = commands.PolicyTerms(
            read_enum("rule", request.rule, _RULES),
            request.days_max if request.HasField("days_max") else DAYS_MAX_DEFAULT,
            request.source,
            _read_fixed(request.fixed_rates),
        )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.PutExchangePolicyResponse:
            policy = await commands.set_policy(tx, entity_id, terms, by=by, at=at)
            return pb.PutExchangePolicyResponse(exchange_policy=_write(policy))

        return await once(self._engine, request, pb.PutExchangePolicyResponse, handle)

    async def GetExchangePolicy(
        self, request: pb.GetExchangePolicyRequest, context: object
    ) -> pb.GetExchangePolicyResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        require_entity(entity_id)
        async with database.read(self._engine) as tx:
            policies = await repository.load_policies(tx, [entity_id])
        found = policies.get(entity_id) or ExchangePolicy(entity_id)
        return pb.GetExchangePolicyResponse(exchange_policy=_write(found))

    async def ListExchangePolicies(
        self, request: pb.ListExchangePoliciesRequest, context: object
    ) -> pb.ListExchangePoliciesResponse:
        page = read_page(request)
        after = None if page.after is None else read_uuid("page_token", page.after[0])
        entities = visible_entities()
        async with database.read(self._engine) as tx:
            found = await repository.policies_after(
                tx, after, limit=page.size + 1, legal_entity_ids=entities
            )
        shown = found[: page.size]
        response = pb.ListExchangePoliciesResponse(exchange_policies=map(_write, shown))
        if len(found) > page.size:
            response.next_page_token = next_token(shown[-1].legal_entity_id)
        return response


def _read_fixed(rates: Sequence[pb.FixedExchangeRate]) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for index, each in enumerate(rates):
        pair, inverse = (each.base, each.quote), (each.quote, each.base)
        if pair in found or inverse in found:
            raise PolicyInconsistent(
                f"{each.base}/{each.quote} has two rates",
                field=f"fixed_rates[{index}]",
                advice="send each pair once; its inverse follows from it",
            )
        found[pair] = read_decimal(f"fixed_rates[{index}].rate", each.rate, places=EXCHANGE_PLACES)
    return found


def _write(policy: ExchangePolicy) -> pb.ExchangePolicy:
    return pb.ExchangePolicy(
        legal_entity_id=str(policy.legal_entity_id),
        version=policy.version,
        rule=_RULES.write(policy.rule),
        days_max=policy.days_max,
        source=policy.source,
        fixed_rates=[
            pb.FixedExchangeRate(base=base, quote=quote, rate=write_decimal(rate))
            for (base, quote), rate in policy.fixed_rates.items()
        ],
        set_by=policy.set_by,
        set_at=write_instant(policy.set_at),
    )
