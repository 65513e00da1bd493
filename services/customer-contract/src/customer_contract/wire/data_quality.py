"""Messages of data-quality rules and what they find."""

from typing import Final

from customer_contract.domain.customer import Customer
from customer_contract.domain.data_quality import (
    Condition,
    Rule,
    RuleObject,
    RuleStatus,
    RuleTerms,
    Severity,
)
from customer_contract.domain.values import LegalEntityId
from throughline.customer_contract.v1 import data_quality_service_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    read_enum,
    read_optional_uuid,
    write_id,
    write_instant,
)

RULE_OBJECT: Final = EnumMap(pb.DataQualityObject, RuleObject)
RULE_STATUS: Final = EnumMap(pb.DataQualityRuleStatus, RuleStatus)
_CONDITION: Final = EnumMap(pb.DataQualityCondition, Condition)
_SEVERITY: Final = EnumMap(pb.DataQualitySeverity, Severity)


def read_terms(request: pb.PutDataQualityRuleRequest) -> RuleTerms:
    """Return what the rule is to say."""
    entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
    return RuleTerms(
        object=read_enum("object", request.object, RULE_OBJECT),
        field=request.field,
        condition=read_enum("condition", request.condition, _CONDITION),
        pattern=request.pattern,
        values=tuple(request.values),
        legal_entity_id=None if entity is None else LegalEntityId(entity),
        country=request.country or None,
        severity=read_enum("severity", request.severity, _SEVERITY),
        owner=request.owner,
        advice=request.advice,
    )


def write_rule(rule: Rule) -> pb.DataQualityRule:
    terms = rule.terms
    return pb.DataQualityRule(
        code=rule.code,
        rule_version=rule.rule_version,
        object=RULE_OBJECT.write(terms.object),
        field=terms.field,
        condition=_CONDITION.write(terms.condition),
        pattern=terms.pattern,
        values=terms.values,
        legal_entity_id=write_id(terms.legal_entity_id),
        country=terms.country or "",
        severity=_SEVERITY.write(terms.severity),
        owner=terms.owner,
        advice=terms.advice,
        status=RULE_STATUS.write(rule.status),
        proposed_by=rule.proposed_by,
        proposed_at=write_instant(rule.proposed_at),
        activated_by=rule.activated_by,
        activated_at=write_instant(rule.activated_at),
    )


def write_finding(customer: Customer, rule: Rule) -> pb.DataQualityFinding:
    return pb.DataQualityFinding(
        object_id=str(customer.customer_id),
        number=customer.number,
        code=rule.code,
        field=rule.terms.field,
        severity=_SEVERITY.write(rule.terms.severity),
        owner=rule.terms.owner,
        advice=rule.terms.advice,
    )
