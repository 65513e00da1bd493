"""Runbooks speak only of what is there."""

import pytest

from tools.deployment import runbooks
from tools.deployment.declared import ROOT

FOLDER = ROOT / "docs/runbooks"
PAGES = [file.name for file in FOLDER.glob("*.md")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_commands_paths_and_pages_that_exist(page: str) -> None:
    assert list(runbooks.problems(page, (FOLDER / page).read_text(), PAGES)) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_one_page(page: str) -> None:
    assert len((FOLDER / page).read_text().splitlines()) <= 70


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Try `throughline streams mend`.", "no command mend"),
        ("```sh\nthroughline down && throughline up --fast\n```", "no option --fast"),
        (
            "`ask $GATEWAY/v1/invoice-runs/$RUN:repair`",
            "there is no path /v1/invoice-runs/$RUN:repair",
        ),
        ("See `pray.md`.", "there is no page pray.md"),
    ],
)
def test_what_is_not_there_is_found(text: str, fault: str) -> None:
    [problem] = runbooks.problems("page.md", text, PAGES)

    assert fault in problem


def test_other_programs_arguments_are_left_alone() -> None:
    text = "`kubectl -n throughline get pods`"

    assert list(runbooks.problems("page.md", text, PAGES)) == []
