import pytest

from throughline_simulators.stripe.errors import InvalidRequest
from throughline_simulators.stripe.params import Params, merged, parse


def test_nested_names_become_a_tree() -> None:
    form = "amount=100&metadata[invoice_number]=INV+1&types[]=a&types[]=b&a[b][c]=d&n[0]=x"

    assert parse(form) == {
        "amount": "100",
        "metadata": {"invoice_number": "INV 1"},
        "types": {"0": "a", "1": "b"},
        "a": {"b": {"c": "d"}},
        "n": {"0": "x"},
    }


@pytest.mark.parametrize("form", ["a[b=1", "=1", "a=1&a[b]=2"])
def test_a_malformed_name_is_refused(form: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(form)


@pytest.mark.parametrize("amount", ["0", "-5", "12.50", "NaN", "1e3", "100000000"])
def test_an_amount_is_a_positive_integer_in_bounds(amount: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Params({"amount": amount}).take_amount("amount", most=99_999_999)

    assert refused.value.param == "amount"


def test_a_parameter_nobody_asked_for_is_refused() -> None:
    params = Params({"amount": "5", "ammount": "5"})
    params.take("amount")

    with pytest.raises(InvalidRequest, match="unknown parameter: ammount"):
        params.finish()


def test_metadata_is_merged_and_an_empty_value_removes_its_key() -> None:
    assert merged({"a": "1", "b": "2"}, {"b": "", "c": "3"}) == {"a": "1", "c": "3"}


def test_metadata_has_bounds() -> None:
    with pytest.raises(InvalidRequest, match="up to 3 characters"):
        Params({"metadata": {"a": "long"}}).take_metadata(keys_max=50, value_max=3)
    with pytest.raises(InvalidRequest, match="at most 1 keys"):
        Params({"metadata": {"a": "1", "b": "2"}}).take_metadata(keys_max=1, value_max=3)
