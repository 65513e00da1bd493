"""The probes say what a supervisor and a scraper need, and nothing upsets them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from throughline_runtime.probes import Check, Probes


async def well() -> str | None:
    return None


async def down() -> str | None:
    return "it is out of reach"


async def hanging() -> str | None:
    await asyncio.sleep(60)
    return None


@asynccontextmanager
async def probing(**checks: Check) -> AsyncIterator[tuple[Probes, httpx.AsyncClient]]:
    probes = Probes(checks)
    port = await probes.start("127.0.0.1:0")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield probes, client
    await probes.stop()


async def test_a_process_is_ready_when_every_check_is_well() -> None:
    async with probing(database=well, broker=well) as (_, client):
        answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "problems": {}}


async def test_a_check_that_fails_or_hangs_makes_it_unready_and_is_named() -> None:
    async with probing(database=hanging, broker=down, relay=well) as (_, client):
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["problems"] == {
        "database": "it does not answer in time",
        "broker": "it is out of reach",
    }


async def test_a_process_that_leaves_is_alive_but_not_ready() -> None:
    async with probing(database=well) as (probes, client):
        probes.leave()

        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def test_metrics_are_served_in_prometheus_form() -> None:
    async with probing() as (_, client):
        answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert "throughline_outbox_pending" in answer.text
    assert "process_resident_memory_bytes" in answer.text


async def test_a_head_request_gets_no_body_and_an_unknown_path_or_method_a_refusal() -> None:
    async with probing() as (_, client):
        head = await client.head("/metrics?name[]=x")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.get("/admin")).status_code == 404
        assert (await client.post("/livez")).status_code == 405


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET /livez HTTP/1.1\r\nx: " + b"y" * 70_000, b""], ids=len
)
async def test_rubbish_ends_its_own_connection_only(sent: bytes) -> None:
    async with probing() as (_, client):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(sent)
        writer.write_eof()
        try:
            answer = await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            answer = b""
        writer.close()

        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        assert json.loads((await client.get("/readyz")).content)["ready"]
