"""Registrations are judged by the form and checksum of their country."""

import pytest

from customer_contract.domain.tax_registration import TaxRegistration, TaxStatus, judge


@pytest.mark.parametrize(
    ("country", "given", "kept"),
    [
        ("DE", "DE136695976", "DE136695976"),
        ("DE", "de 136 695 976", "DE136695976"),
        ("DE", "136695976", "DE136695976"),
        ("GR", "EL094259216", "EL094259216"),
        ("NL", "NL004495445B01", "NL004495445B01"),
        ("GB", "GB 980 7806 84", "GB980780684"),
        ("CH", "CHE-107.787.577 IVA", "CHE107787577IVA"),
        ("US", "94-3216497", "943216497"),
    ],
)
def test_a_number_of_its_countrys_form_is_valid_and_kept_compact(
    country: str, given: str, kept: str
) -> None:
    assert judge(country, given) == TaxRegistration(kept, TaxStatus.VALID)


@pytest.mark.parametrize(
    ("country", "given"),
    [
        ("DE", "DE136695970"),  # checksum
        ("DE", "NL004495445B01"),  # another member state's
        ("US", "DE136695976"),
        ("AE", "DE136695976"),  # no form of its own, but this one is known to be foreign
        ("GB", "GB980780680"),
        ("DE", "n/a"),
    ],
)
def test_a_wrong_or_foreign_number_is_invalid(country: str, given: str) -> None:
    assert judge(country, given).status is TaxStatus.INVALID


@pytest.mark.parametrize(
    ("country", "status"),
    [
        ("DE", TaxStatus.MISSING),
        ("GB", TaxStatus.MISSING),
        ("CH", TaxStatus.MISSING),
        ("US", TaxStatus.NOT_REQUIRED),
        ("AE", TaxStatus.NOT_REQUIRED),
    ],
)
@pytest.mark.parametrize("nothing", [None, "", " - "])
def test_without_a_number_the_country_decides(
    country: str, status: TaxStatus, nothing: str | None
) -> None:
    assert judge(country, nothing) == TaxRegistration(None, status)


def test_where_no_form_is_known_the_number_is_kept_unjudged() -> None:
    assert judge("AE", "100-123") == TaxRegistration("100123", TaxStatus.NOT_REQUIRED)
