from decimal import Decimal

import pytest

from throughline_simulators.salesforce import soql
from throughline_simulators.salesforce.errors import ApiError


def test_a_statement_is_read_with_parents_children_and_all_clauses() -> None:
    query = soql.parse(
        "SELECT Id, SBQQ__Account__r.Name, (SELECT Id FROM SBQQ__LineItems__r) FROM SBQQ__Quote__c "
        "WHERE SBQQ__Primary__c = TRUE AND SBQQ__Status__c IN ('Approved', 'Accepted') "
        "ORDER BY SystemModstamp DESC NULLS LAST, Id LIMIT 10 OFFSET 5"
    )

    parents = [item.parts for item in query.items if isinstance(item, soql.Path)]
    children = [item.source for item in query.items if isinstance(item, soql.Query)]
    assert parents == [("Id",), ("SBQQ__Account__r", "Name")]
    assert children == ["SBQQ__LineItems__r"]
    assert [(o.path.parts, o.descending, o.nulls_last) for o in query.order] == [
        (("SystemModstamp",), True, True),
        (("Id",), False, False),
    ]
    assert (query.limit, query.offset) == (10, 5)


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        (r"'O\'Brien \\ Co'", "string", r"O'Brien \ Co"),
        ("-12.50", "number", Decimal("-12.50")),
        ("2026-07-31", "date", "2026-07-31"),
        ("2026-07-31T09:14:03.000+0000", "datetime", "2026-07-31T09:14:03.000+0000"),
        ("2026-07-31T09:14:03Z", "datetime", "2026-07-31T09:14:03Z"),
        ("false", "boolean", False),
        ("null", "null", None),
    ],
)
def test_each_kind_of_literal_is_read(written: str, kind: str, value: object) -> None:
    condition = soql.parse(f"SELECT Id FROM Account WHERE Name = {written}").where

    assert isinstance(condition, soql.Comparison)
    assert (condition.literal.kind, condition.literal.value) == (kind, value)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "SELECT",
        "SELECT FROM Account",
        "SELECT Id, FROM Account",
        "SELECT Id Account",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE Name",
        "SELECT Id FROM Account WHERE Name IS NULL",
        "SELECT Id FROM Account WHERE Name = 'open",
        "SELECT Id FROM Account WHERE Name = TODAY",
        "SELECT Id FROM Account WHERE Name IN ()",
        "SELECT Id FROM Account WHERE Name = 'a' AND Phone = 'b' OR Type = 'c'",
        "SELECT Id FROM Account LIMIT many",
        "SELECT Id FROM Account; DROP",
        # A plus sign that was not encoded arrives as a space.
        "SELECT Id FROM Account WHERE SystemModstamp > 2026-07-31T09:14:03.000 0000",
    ],
)
def test_a_malformed_statement_is_refused_where_reading_stops(statement: str) -> None:
    with pytest.raises(ApiError) as refused:
        soql.parse(statement)

    assert refused.value.code == "MALFORMED_QUERY"
    assert "ERROR at Row:1:Column:" in refused.value.message


def test_and_mixes_with_or_in_parentheses() -> None:
    condition = soql.parse("SELECT Id FROM A WHERE (X = 1 OR Y = 2) AND NOT Z = 3").where

    assert isinstance(condition, soql.Junction)
    inner, negation = condition.conditions
    assert condition.operator == "and"
    assert isinstance(inner, soql.Junction)
    assert inner.operator == "or"
    assert isinstance(negation, soql.Negation)
