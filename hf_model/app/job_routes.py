"""The route that runs a job: the answer is a stream of JSON lines, from the place in the queue to the result."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from hf_model.app.connections import client_of
from hf_model.app.job_queue import Job, JobQueue, Message, Work
from hf_model.app.job_requests import JobRequest, check_job
from hf_model.app.jobs import Progress, convert_part, open_recording, render_notes
from hf_model.app.limits import BusyError, PageError
from hf_model.app.middleware import SMALL_BODY
from hf_model.app.page_json import Part
from hf_model.app.panels.practice import practice
from hf_model.app.panels.words import sing
from hf_model.app.sessions import Sessions
from hf_model.inference import Models

SLOW = "The request did not arrive in time."
TOO_LARGE = "This request is too large."

HEARTBEAT_SECONDS = 15.0
"""An empty line is sent so often: proxies close silent connections, and a lost client is noticed."""


def add_job_route(app: Starlette, queue: JobQueue, sessions: Sessions, models: Models) -> None:
    """Add ``POST /jobs``."""

    async def run_job(request: Request) -> Response:
        async with asyncio.timeout(sessions.limits.body_seconds):
            asked = check_job(await read_body(request))
        job = queue.add(client_of(request.scope), _work(asked, sessions, models))
        # Proxies that collect an answer before they pass it on, as nginx does, leave this one alone.
        return StreamingResponse(
            _lines(queue, job), media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"}
        )

    app.add_route("/jobs", with_reasons(run_job), methods=["POST"])


def with_reasons(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer a request that is refused with the reason as JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except TimeoutError:
            return JSONResponse({"error": SLOW}, 408)
        except BusyError as error:
            return JSONResponse({"error": str(error)}, 503)
        except PageError as error:
            return JSONResponse({"error": str(error)}, 413 if str(error) == TOO_LARGE else 400)

    return answer


async def read_body(request: Request) -> bytes:
    """Read a body of at most ``SMALL_BODY`` bytes, whatever length is declared."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > SMALL_BODY:
            raise PageError(TOO_LARGE)
    return bytes(body)


async def _lines(queue: JobQueue, job: Job) -> AsyncIterator[str]:
    """Give the messages of a job as lines of JSON; when the client goes, so does the job."""
    try:
        message: Message = {}
        while not message.keys() & {"result", "error"}:
            try:
                message = await asyncio.wait_for(job.messages.get(), HEARTBEAT_SECONDS)
                yield json.dumps(message, allow_nan=False) + "\n"
            except TimeoutError:
                yield "\n"
    finally:
        queue.leave(job)


def _work(asked: JobRequest, sessions: Sessions, models: Models) -> Work:
    """Give what a job does."""
    limits = sessions.limits

    def work(progress: Progress) -> dict[str, object]:
        session = sessions.find(asked.recording)
        was_opened = session.whole is not None

        def touch(share: float, step: str) -> None:
            session.touched = time.monotonic()  # a long job is not an unused recording
            progress(share, step)

        try:
            if asked.kind == "render":
                return render_notes(session, asked.notes, asked.settings, models, limits, asked.keys)
            if asked.kind == "practice":
                return practice(session, asked.notes, limits, touch)
            if asked.kind == "sing":
                return sing(session, asked.lyrics, asked.voice, asked.language, touch)
            sessions.add_bytes(session, 0)  # refuses to write more when the last job exceeded the space
            try:
                if asked.kind == "open":
                    return open_recording(session, limits, touch)
                session.title = asked.title
                part = Part(asked.start, asked.end, asked.source)
                return convert_part(session, part, asked.settings, models, limits, touch)
            except BaseException:
                if not was_opened:  # otherwise another part may be tried
                    sessions.delete(session.id)
                raise
        finally:
            sessions.measure(session)

    return work
