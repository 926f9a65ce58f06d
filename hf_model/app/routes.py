"""The routes of the page: its own files, uploads, and the files of a conversion."""

import asyncio
import html
import json
import shutil
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from hf_model.app.connections import client_of
from hf_model.app.job_queue import OneByOne
from hf_model.app.jobs import COVER, SCORE, SUNG
from hf_model.app.limits import BusyError, Limits, PageError, format_duration
from hf_model.app.panels.late_files import write_cover_file, write_score_file
from hf_model.app.sessions import Session, Sessions

PAGE = Path(str(files("hf_model.app"))) / "page"
"""Folder of the page's own files."""

EXAMPLE = PAGE / "example.flac"

FILES = {
    "voice.wav": "audio/wav",
    "backing.wav": "audio/wav",
    COVER: "audio/wav",
    SUNG: "audio/wav",
    "spectrum.png": "image/png",
    "piano.wav": "audio/wav",
    "piano.mid": "audio/midi",
    SCORE: "application/vnd.recordare.musicxml+xml",
    "piano.csv": "text/csv",
}
"""Files of a recording that can be downloaded, and their media types."""

EMPTY = "This file is empty."
SLOW = "The recording did not arrive in time. Please try again."


def add_routes(app: Starlette, sessions: Sessions, writing: OneByOne) -> None:
    """Add all routes except the job queue; late files are written one by one."""

    async def show_page(_request: Request) -> Response:
        text = (PAGE / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{{limits}}", html.escape(json.dumps(sessions.limits.as_mapping()))))

    async def send_page_file(request: Request) -> Response:
        path = PAGE / request.path_params["name"]  # the middleware refuses a slash in it
        return FileResponse(path) if path.is_file() else _refused("Not found.", 404)

    async def send_icon(_request: Request) -> Response:
        return FileResponse(PAGE / "icon.svg")

    async def send_health(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def receive_recording(request: Request) -> Response:
        return await _receive(request, sessions)

    async def open_example(request: Request) -> Response:
        try:
            session = sessions.open(client_of(request.scope))
        except PageError as error:
            return _refused(str(error), 503)
        session.n_bytes = shutil.copyfile(EXAMPLE, session.upload).stat().st_size
        return JSONResponse({"recording": session.id})

    async def send_file(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            session = sessions.find(request.path_params["recording"])
            if name == SCORE:
                await writing.run(write_score_file, session, sessions.limits)
            elif name == COVER:
                await writing.run(write_cover_file, session)
            if name in {SCORE, COVER}:
                sessions.measure(session)
        except BusyError as error:
            return _refused(str(error), 503)
        except PageError as error:
            return _refused(str(error), 404)
        path = session.folder / name
        if name not in FILES or not path.is_file():
            return _refused("Not found.", 404)
        return FileResponse(path, media_type=FILES[name])

    async def forget(request: Request) -> Response:
        sessions.delete(request.path_params["recording"])
        return Response(status_code=204)

    app.add_route("/", show_page)
    app.add_route("/page/{name}", send_page_file)
    app.add_route("/favicon.ico", send_icon)
    app.add_route("/health", send_health)
    app.add_route("/recordings", receive_recording, methods=["POST"])
    app.add_route("/example", open_example, methods=["POST"])
    app.add_route("/recordings/{recording}/forget", forget, methods=["POST"])
    app.add_route("/recordings/{recording}/{name}", send_file)


async def _receive(request: Request, sessions: Sessions) -> Response:
    """Store an upload within the limits, and give it an id."""
    limits = sessions.limits
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limits.upload_bytes:
        return _refused(_too_large(limits), 413)
    try:
        session = sessions.open(client_of(request.scope))
    except PageError as error:
        return _refused(str(error), 503)
    status = 400
    try:
        async with asyncio.timeout(limits.upload_seconds):
            problem = await _store(request, session, sessions)
    except TimeoutError:
        problem, status = SLOW, 408
    except BusyError as error:
        problem, status = str(error), 503
    except BaseException as error:
        sessions.delete(session.id)
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)
        raise
    if problem:
        sessions.delete(session.id)
        return _refused(problem, 413 if problem == _too_large(limits) else status)
    return JSONResponse({"recording": session.id})


async def _store(request: Request, session: Session, sessions: Sessions) -> str:
    """Write the body to the session's folder; give the reason if it is refused."""
    limits, n_bytes = sessions.limits, 0
    with session.upload.open("wb") as file:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > limits.upload_bytes:
                return _too_large(limits)
            sessions.add_bytes(session, len(chunk))
            file.write(chunk)
    return "" if n_bytes else EMPTY


def _too_large(limits: Limits) -> str:
    return (
        f"This file is larger than {limits.upload_bytes >> 20} MB. A compressed one (mp3, m4a, ogg) is "
        f"smaller; at most {format_duration(limits.part_seconds)} are converted at a time."
    )


def _refused(problem: str, status: int) -> Response:
    return JSONResponse({"error": problem}, status)
