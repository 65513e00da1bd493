"""Whatever the description allows or forbids, no request makes the gateway fail."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
import schemathesis
from gateway_front import Front, open_front_with_peers
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, Response
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

CHECKED = settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
        HealthCheck.too_slow,
    ],
)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A gateway in a thread of its own, since schemathesis waits in this one."""
    folder = tmp_path_factory.mktemp("front")
    opened: Future[tuple[Front, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        done = asyncio.Event()
        async with open_front_with_peers(folder, requests_per_minute=10**6) as front:
            opened.set_result((front, asyncio.get_running_loop(), done))
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    front, loop, done = opened.result(timeout=30)
    yield front
    loop.call_soon_threadsafe(done.set)
    thread.join()


def operations(front: Front) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    document = httpx.get(f"{front.url}/openapi.json", trust_env=False).json()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok)
        yield result.ok()


def replies(
    front: Front, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode
) -> list[tuple[Case[Any], Response]]:
    """Return what some requests to an operation were answered."""
    headers, answered = front.bearer("admin"), []

    @CHECKED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        answered.append((case, case.call(base_url=front.url, headers=headers)))

    ask()
    return answered


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_makes_the_gateway_fail(front: Front, mode: GenerationMode) -> None:
    seen: Counter[int] = Counter()

    for operation in operations(front):
        described = {int(status) for status in operation.definition.raw["responses"]}
        for case, reply in replies(front, operation, mode):
            seen[reply.status_code] += 1
            # A path that is made of rubbish may be another's, or nobody's.
            assert reply.status_code in described | {404, 405}, (case, reply.text)
            assert reply.status_code < 500, (case, reply.text)
            if reply.status_code >= 400:
                assert reply.headers["content-type"] == ["application/problem+json"]

    assert seen[200] > 0
    assert seen[422] > 0
