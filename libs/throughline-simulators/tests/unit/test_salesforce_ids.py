import pytest

from throughline_simulators.salesforce.ids import normalised, numbered_id, referenced_id, widen


def test_the_suffix_tells_which_characters_are_upper_case() -> None:
    assert widen("a0q5g000001AbCd") == "a0q5g000001AbCdAAK"


def test_ids_of_an_object_begin_with_its_prefix_and_never_repeat() -> None:
    made = {numbered_id("a0q", number) for number in range(1, 500)}

    assert len({made_id.lower() for made_id in made}) == 499
    assert all(made_id.startswith("a0q") and len(made_id) == 18 for made_id in made)


def test_the_same_reference_has_the_same_id_in_every_process() -> None:
    assert (
        referenced_id("001", "acme") == referenced_id("001", "acme") != referenced_id("006", "acme")
    )


def test_both_lengths_of_an_id_are_one_id() -> None:
    wide = numbered_id("006", 7)

    assert normalised(wide[:15]) == normalised(wide) == wide


@pytest.mark.parametrize("written", ["", "abc", "a0q5g000001AbCdAAA", "a0q5g000001Ab-d"])
def test_what_is_no_id_is_told(written: str) -> None:
    assert normalised(written) is None
