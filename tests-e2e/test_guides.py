"""The guides, pasted as they are read: one deal through the hands of four people."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_guides import GUIDES, requests_of, script_of, shows, tell
from e2e_practice import Practice

# Each goes on where the one before it ends.
ORDER = ("sales-operations.md", "pmo.md", "consultant.md", "finance.md")

# A guide has about fifty requests, each a program of its own that takes its time to start.
pytestmark = pytest.mark.timeout(480)

_WORKSPACE = Path(__file__).parents[1]
_TABLE_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_CODE = re.compile(r"`([a-z_]+\.[a-z_]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


class Reader:
    """Somebody who pastes one guide after the other, each once."""

    def __init__(self, practice: Practice) -> None:
        self._practice = practice
        self._read: dict[str, bool] = {}

    def read(self, guide: str) -> None:
        """Paste a guide, after those it goes on from."""
        for each in ORDER[: ORDER.index(guide) + 1]:
            if each not in self._read:
                self._read[each] = False
                tell(each, folder=self._practice.folder, today=self._practice.today)
                self._read[each] = True
            assert self._read[each], (
                f"{guide} goes on from {each}, which could not be read to its end"
            )


@pytest.fixture(scope="module")
def reader(practice: Practice) -> Reader:
    return Reader(practice)


@pytest.mark.parametrize("guide", ORDER)
def test_every_request_of_a_guide_does_what_the_guide_says(reader: Reader, guide: str) -> None:
    reader.read(guide)


def test_the_deal_of_the_guides_is_accounted_for(reader: Reader, practice: Practice) -> None:
    reader.read(ORDER[-1])

    assert practice.broken_invariants() == []


def test_every_guide_is_pasted() -> None:
    assert {guide.name for guide in GUIDES.glob("*.md")} == set(ORDER)


@pytest.mark.parametrize("guide", ORDER)
def test_every_code_of_a_guide_s_tables_is_one_that_can_come_back(guide: str) -> None:
    rows = _TABLE_ROW.findall((GUIDES / guide).read_text(encoding="utf-8"))
    named = {code for row in rows for code in _CODE.findall(row)}
    known = "\n".join(_contract_and_code())

    assert named
    assert [code for code in sorted(named) if not re.search(rf"\b{code}\b", known)] == []


@pytest.mark.parametrize("guide", ORDER)
def test_every_link_of_a_guide_leads_somewhere(guide: str) -> None:
    links = _LINK.findall((GUIDES / guide).read_text(encoding="utf-8"))

    assert [link for link in links if not (GUIDES / link).exists()] == []


def test_a_shown_answer_is_compared_line_by_line() -> None:
    answer = '{\n  "a": "1",\n  "b": "2",\n  "c": "3"\n}\n'

    assert shows('{\n  "a": "…",\n…\n  "c": "3"\n}', answer)
    assert not shows('{\n  "a": "1",\n  "c": "3"\n}', answer)
    assert not shows('{\n  "a": "2",\n…\n}', answer)


def test_what_begins_with_an_error_has_to_be_refused(tmp_path: Path) -> None:
    guide = (
        "```sh\nfalse\n```\n\n```text\nerror: no (a.b, 409)\n```\n\n```sh\ntrue\n```\n\nWords.\n"
    )

    refused, done = requests_of(guide)

    assert (refused.line, refused.is_refused, done.line, done.outcome) == (2, True, 10, None)
    assert "then exit 1" in script_of([refused], tmp_path)
    assert "then exit 1" not in script_of([done], tmp_path)


def _contract_and_code() -> Iterator[str]:
    """Yield the texts in which a code stands that a caller may see."""
    for pattern in ("proto/**/*.proto", "services/*/src/**/*.py"):
        for path in sorted(_WORKSPACE.glob(pattern)):
            yield path.read_text(encoding="utf-8")
