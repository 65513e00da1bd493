"""Messages of price policies."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict

from customer_contract.domain.price_policy import (
    ApproverRole,
    FloorPrice,
    LadderStep,
    MaximumDiscount,
    PolicyRules,
    PricePolicy,
)
from customer_contract.domain.values import LegalEntityId, PricePolicyId
from customer_contract.wire.line_terms import PERCENT_PLACES
from throughline.customer_contract.v1 import price_policy_service_pb2 as pb
from throughline.customer_contract.v1 import proposal_service_pb2 as proposal_pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    read_money,
    read_optional_decimal,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)

APPROVER_ROLE: Final = EnumMap(pb.ApproverRole, ApproverRole)


def read_policy_rules(
    message: proposal_pb.ProposePricePolicyRequest | pb.PricePolicy,
) -> PolicyRules:
    """Return the rules as sent, or as they were kept."""
    return PolicyRules(
        floor_prices=tuple(
            _read_floor(f"floor_prices[{index}]", floor)
            for index, floor in enumerate(message.floor_prices)
        ),
        maximum_discounts=tuple(
            MaximumDiscount(
                read_enum(f"maximum_discounts[{index}].role", one.role, APPROVER_ROLE),
                read_decimal(
                    f"maximum_discounts[{index}].percent", one.percent, places=PERCENT_PLACES
                ),
            )
            for index, one in enumerate(message.maximum_discounts)
        ),
        steps=tuple(
            _read_step(f"steps[{index}]", step) for index, step in enumerate(message.steps)
        ),
        exception_role=read_optional_enum("exception_role", message.exception_role, APPROVER_ROLE),
        enforce_on_import=message.enforce_on_import,
    )


def _read_floor(field: str, floor: pb.FloorPrice) -> FloorPrice:
    unit_price = read_money(f"{field}.unit_price", floor.unit_price, places=RATE_PLACES)
    return FloorPrice(floor.service_code, unit_price, floor.role)


def _read_step(field: str, step: pb.LadderStep) -> LadderStep:
    return LadderStep(
        role=read_enum(f"{field}.role", step.role, APPROVER_ROLE),
        name=step.name,
        above_discount_percent=read_optional_decimal(
            f"{field}.above_discount_percent", step.above_discount_percent, places=PERCENT_PLACES
        ),
        above_amounts=tuple(
            read_money(f"{field}.above_amounts[{index}]", amount)
            for index, amount in enumerate(step.above_amounts)
        ),
    )


def read_policy(message: pb.PricePolicy) -> PricePolicy:
    """Return the version as it was kept with its proposal."""
    entity = read_optional_uuid("legal_entity_id", message.legal_entity_id)
    return PricePolicy(
        PricePolicyId(read_uuid("price_policy_id", message.price_policy_id)),
        message.version,
        None if entity is None else LegalEntityId(entity),
        read_policy_rules(message),
        message.proposed_by,
        "",
        None,
    )


def write_policy(policy: PricePolicy) -> pb.PricePolicy:
    message = _write_rules(policy.rules)
    message.MergeFrom(
        pb.PricePolicy(
            price_policy_id=str(policy.price_policy_id),
            version=policy.version,
            legal_entity_id=write_id(policy.legal_entity_id) or None,
            proposed_by=policy.proposed_by,
            published_by=policy.published_by,
            published_at=write_instant(policy.published_at),
        )
    )
    return message


def write_rules(rules: PolicyRules) -> Mapping[str, Any]:
    """Return the rules as JSON, by the names of the API."""
    kept: Mapping[str, Any] = MessageToDict(_write_rules(rules), preserving_proto_field_name=True)
    return kept


def read_rules(kept: Mapping[str, Any]) -> PolicyRules:
    """Return what `write_rules` kept."""
    return read_policy_rules(ParseDict(dict(kept), pb.PricePolicy()))


def _write_rules(rules: PolicyRules) -> pb.PricePolicy:
    exception = rules.exception_role
    return pb.PricePolicy(
        floor_prices=[
            pb.FloorPrice(
                service_code=floor.service_code,
                unit_price=write_money(floor.unit_price),
                role=floor.role,
            )
            for floor in rules.floor_prices
        ],
        maximum_discounts=[
            pb.MaximumDiscount(
                role=APPROVER_ROLE.write(one.role), percent=write_decimal(one.percent)
            )
            for one in rules.maximum_discounts
        ],
        steps=map(_write_step, rules.steps),
        exception_role=(
            APPROVER_ROLE.write(exception) if exception else pb.APPROVER_ROLE_UNSPECIFIED
        ),
        enforce_on_import=rules.enforce_on_import,
    )


def _write_step(step: LadderStep) -> pb.LadderStep:
    above = step.above_discount_percent
    return pb.LadderStep(
        role=APPROVER_ROLE.write(step.role),
        name=step.name,
        above_discount_percent="" if above is None else write_decimal(above),
        above_amounts=map(write_money, step.above_amounts),
    )
