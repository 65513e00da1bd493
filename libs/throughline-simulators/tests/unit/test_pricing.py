from decimal import Decimal

from throughline_simulators.salesforce.pricing import price_line
from throughline_simulators.salesforce.values import Value


def a_line(**fields: Value) -> dict[str, Value]:
    return {f"SBQQ__{name}__c": value for name, value in fields.items()}


def priced(line: dict[str, Value]) -> tuple[Value, Value]:
    calculated = price_line(line, frozenset(line))
    return calculated["SBQQ__NetPrice__c"], calculated["SBQQ__NetTotal__c"]


def test_a_given_net_price_times_quantity_is_the_total() -> None:
    line = a_line(Quantity=Decimal("2.5"), ListPrice=Decimal(1400), NetPrice=Decimal("1360.01"))

    assert priced(line) == (Decimal("1360.01"), Decimal("3400.03"))


def test_without_a_net_price_the_list_price_is_discounted() -> None:
    line = a_line(Quantity=Decimal(3), ListPrice=Decimal(200), Discount=Decimal("12.5"),
                  Uplift=Decimal(10), AdditionalDiscountAmount=Decimal("0.50"))  # fmt: skip

    assert priced(line) == (Decimal("192.00"), Decimal("576.00"))


def test_a_new_discount_replaces_the_old_net_price() -> None:
    line = a_line(Quantity=Decimal(1), ListPrice=Decimal(200), NetPrice=Decimal(150),
                  Discount=Decimal(50))  # fmt: skip

    assert price_line(line, frozenset({"SBQQ__Discount__c"}))["SBQQ__NetPrice__c"] == Decimal(100)


def test_a_bundled_line_costs_nothing() -> None:
    line = a_line(Quantity=Decimal(4), ListPrice=Decimal(99), NetPrice=Decimal(99), Bundled=True)

    assert priced(line) == (Decimal(0), Decimal(0))
