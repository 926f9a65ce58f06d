"""The route of jobs: the stream of messages, slow and large bodies, clients that go."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from hf_model.app import job_routes
from hf_model.app.job_queue import JobQueue
from hf_model.app.job_routes import add_job_route
from hf_model.app.limits import Limits
from hf_model.app.middleware import SMALL_BODY
from hf_model.app.sessions import Sessions
from tests.fakes import tone_models

LIMITS = dataclasses.replace(Limits(), body_seconds=0.3, waiting=2, waiting_per_client=1)
RENDER = json.dumps({"job": "render", "recording": "0" * 32, "notes": [], "settings": {}}).encode()


class Page:
    """The route alone, with its queue."""

    def __init__(self, folder: Path) -> None:
        self.sessions = Sessions(LIMITS, folder)
        self.queue = JobQueue(LIMITS)
        self.app = Starlette()
        add_job_route(self.app, self.queue, self.sessions, tone_models())

    async def post(self, *chunks: bytes | None, delay: float = 0.0, client: str = "10.0.0.1") -> tuple[int, bytes]:
        """Send a body in chunks, None for a lost connection: status and body of the response."""
        sent: list[Any] = []
        left = list(chunks)

        async def receive() -> dict[str, Any]:
            if not left:
                await asyncio.sleep(30)
            await asyncio.sleep(delay)
            chunk = left.pop(0)
            if chunk is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunk, "more_body": bool(left)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/jobs", "query_string": b"", "headers": []}
        await self.app(scope | {"client": (client, 1), "asgi": {"spec_version": "2.3"}}, receive, send)
        return (sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])) if sent else (0, b"")


@pytest.fixture
def page(tmp_path: Path):
    made = Page(tmp_path)
    yield made
    made.sessions.close()


def in_queue(page: Page, *chunks: bytes | None, **options: Any) -> tuple[int, bytes]:
    """Post while the queue runs its jobs."""

    async def run() -> tuple[int, bytes]:
        running = asyncio.create_task(page.queue.run())
        try:
            async with asyncio.timeout(30):
                return await page.post(*chunks, **options)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return asyncio.run(run())


def test_messages_are_lines_of_json(page: Page) -> None:
    status, body = in_queue(page, RENDER[:20], RENDER[20:])
    assert status == 200
    waiting, last = (json.loads(line) for line in body.splitlines())
    assert waiting == {"waiting": 0}
    assert last["error"].startswith("This recording is no longer on the server")


def test_a_slow_body_is_refused(page: Page) -> None:
    assert in_queue(page, *(bytes([byte]) for byte in RENDER), delay=0.02)[0] == 408


def test_a_body_is_counted_while_it_is_read(page: Page) -> None:
    assert in_queue(page, RENDER + b" " * (SMALL_BODY - len(RENDER)))[0] == 200
    status, body = in_queue(page, *[b" " * 65536] * 16, RENDER)
    assert (status, json.loads(body)["error"]) == (413, "This request is too large.")


def test_another_body_is_refused(page: Page) -> None:
    status, body = in_queue(page, b"{}")
    assert (status, json.loads(body)["error"]) == (400, "The request is not valid: job.")


def test_a_lost_connection_starts_no_job(page: Page) -> None:
    in_queue(page, RENDER[:20], None)
    assert not page.queue._waiting


def test_a_client_that_goes_leaves_the_queue(page: Page) -> None:
    async def run() -> None:  # the queue runs nothing
        waiting = asyncio.create_task(page.post(RENDER))
        while not page.queue._waiting:
            await asyncio.sleep(0.01)
        await page.post(RENDER, None, client="10.0.0.2")
        assert len(page.queue._waiting) == 1, "the other one stays"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not page.queue._waiting

    asyncio.run(run())


def test_too_many_jobs_are_refused(page: Page) -> None:
    async def run() -> list[int]:
        waiting = [asyncio.create_task(page.post(RENDER, client=client)) for client in ("10.0.0.1", "10.0.0.2")]
        while len(page.queue._waiting) < 2:
            await asyncio.sleep(0.01)
        statuses = [(await page.post(RENDER, client=client))[0] for client in ("10.0.0.1", "10.0.0.3")]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return statuses

    assert asyncio.run(run()) == [503, 503]


def test_a_silent_stream_has_a_heartbeat(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_routes, "HEARTBEAT_SECONDS", 0.01)

    async def run() -> None:
        job = page.queue.add("a", lambda _progress: {})
        lines = job_routes._lines(page.queue, job)
        assert json.loads(await anext(lines)) == {"waiting": 0}
        assert await anext(lines) == "\n"
        job.messages.put_nowait({"result": {}})
        assert json.loads(await anext(lines)) == {"result": {}}
        assert await anext(lines, None) is None
        assert job.is_abandoned

    asyncio.run(run())
