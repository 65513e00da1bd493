"""The pages that show the API's description load nothing from anywhere else."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from gateway_front import Front

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Loaded(HTMLParser):
    """Collects what a page loads, and its inline scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        found = [given.get(name) for name in ("src", "href", "spec-url", "action")]
        self.addresses += [address for address in found if address]
        self._in_script = tag == "script" and "src" not in given

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)
            self._in_script = False


@pytest.mark.parametrize("path", ["/docs", "/reference"])
async def test_a_page_loads_only_what_is_here(front: Front, path: str) -> None:
    page = await front.client.get(path)

    loaded = Loaded()
    loaded.feed(page.text)
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page.text)
    for address in loaded.addresses:
        if address != "data:,":
            assert address.startswith("/")
            assert (await front.client.get(address)).status_code == 200
    assert "url: '/openapi.json'" in page.text or 'spec-url="/openapi.json"' in page.text


@pytest.mark.parametrize("path", ["/docs", "/reference"])
async def test_a_page_may_not_load_anything_else(front: Front, path: str) -> None:
    page = await front.client.get(path)
    policy = dict(
        rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";")
    )

    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert not [rule for rule in policy.values() if "http" in rule or "*" in rule]
    assert "unsafe" not in policy["script-src"]
    loaded = Loaded()
    loaded.feed(page.text)
    assert policy["script-src"].count("sha256-") == len(loaded.inline)
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_the_viewer_asks_no_validator_elsewhere(front: Front) -> None:
    page = await front.client.get("/docs")

    assert '"validatorUrl": null' in page.text


async def test_the_document_is_the_same_each_time(front: Front) -> None:
    first, second = [await front.client.get("/openapi.json") for _ in range(2)]

    document: dict[str, Any] = first.json()
    assert first.content == second.content
    assert document["info"]["title"] == "Throughline API"
    assert first.headers["content-type"] == "application/json"


async def test_assets_are_files_of_one_folder(front: Front) -> None:
    for path in ("../openapi.json", "..%2f..%2fetc/passwd", "nothing.js", ""):
        reply = await front.client.get(f"/docs/assets/{path}")
        assert reply.status_code in {200, 404}
        assert "root:" not in reply.text
