"""The catalogue: what one person may change, and what takes two."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from customer_contract_builders import a_usage, eur

from customer_contract.domain import catalogue as domain
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.service_line import (
    BillingModel,
    Dimensions,
    LineDefaults,
    ModelTerms,
    RevenueMethod,
    UsageTier,
)
from throughline_core.money import MixedCurrencies, Money

AT = datetime(2026, 8, 1, 8, tzinfo=UTC)
SUPPORT = LineDefaults(
    "Support", BillingModel.RECURRING, "managed_services", "support", ModelTerms(anchor_day=1)
)


def put(current: CatalogueEntry | None, defaults: LineDefaults, **changes: bool) -> CatalogueEntry:
    return domain.put(
        current,
        code="SUPPORT-MS",
        defaults=defaults,
        retired=changes.get("retired", False),
        by="olga",
        at=AT,
    )


def draft(current: CatalogueEntry | None, defaults: LineDefaults, *floors: Money) -> CatalogueEntry:
    return domain.draft(
        current, code="SUPPORT-MS", defaults=defaults, retired=False, floor_prices=floors
    )


def test_a_service_is_added_by_one_person() -> None:
    entry = put(None, SUPPORT)
    assert (entry.version, entry.published_by, entry.proposed_by) == (1, "olga", "")
    assert put(entry, SUPPORT) is entry


@pytest.mark.parametrize(
    "changed",
    [
        replace(SUPPORT, name="Managed support"),
        replace(SUPPORT, template_code="other"),
        replace(SUPPORT, terms=ModelTerms(anchor_day=15, in_advance=True)),
    ],
)
def test_what_is_no_matter_of_price_is_one_persons_to_change(changed: LineDefaults) -> None:
    entry = put(put(None, SUPPORT), changed)
    assert (entry.version, entry.defaults) == (2, changed)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SUPPORT, tax_category="other"),
        replace(SUPPORT, revenue_method=RevenueMethod.AS_DELIVERED),
        replace(SUPPORT, dimensions=Dimensions(practice="cloud")),
        replace(SUPPORT, terms=ModelTerms(anchor_day=1, period_months=3)),
        replace(
            SUPPORT,
            billing_model=BillingModel.PASS_THROUGH,
            terms=ModelTerms(markup_percent=Decimal(5)),
        ),
    ],
)
def test_what_concerns_the_price_takes_two_persons(changed: LineDefaults) -> None:
    with pytest.raises(domain.SecondPersonNeeded):
        put(put(None, SUPPORT), changed)


def test_floors_are_kept_when_something_else_changes() -> None:
    priced = domain.publish(
        draft(put(None, SUPPORT), SUPPORT, eur("2000")),
        proposed_by="olga",
        published_by="frieda",
        at=AT,
    )
    retired = put(priced, SUPPORT, retired=True)
    assert (retired.version, retired.floor_prices, retired.proposed_by) == (3, (eur("2000"),), "")


def test_a_service_has_one_floor_for_each_currency_above_nought() -> None:
    draft(None, SUPPORT, eur("1"), Money(Decimal(1), "USD"))
    with pytest.raises(domain.FloorPriceRepeated):
        draft(None, SUPPORT, eur("1"), eur("2"))
    with pytest.raises(domain.FloorPriceNotPositive):
        draft(None, SUPPORT, eur("0"))
    with pytest.raises(domain.ServiceUnchanged):
        draft(put(None, SUPPORT), SUPPORT)


def test_amounts_of_defaults_are_in_one_currency() -> None:
    usage = a_usage()
    mixed = replace(usage, tiers=(usage.tiers[0], UsageTier(None, Money(Decimal(1), "USD"))))
    devices = LineDefaults(
        "Devices", BillingModel.USAGE, "managed_services", "support", ModelTerms(usage=usage)
    )
    assert len(domain.amounts_of(put(None, devices).defaults.terms)) == 2
    with pytest.raises(MixedCurrencies):
        put(None, replace(devices, terms=ModelTerms(usage=mixed)))
