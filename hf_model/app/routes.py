"""The page's addresses: the page itself, recordings sent here, and what was made of them."""

import asyncio
import html
import json
import shutil
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from hf_model.app.jobs import write_sheet
from hf_model.app.limits import Limits, PageError, spoken
from hf_model.app.sessions import Session, Sessions

PAGE = Path(str(files("hf_model.app"))) / "page"
"""What the browser gets."""

EXAMPLE = PAGE / "example.flac"

SHEET = "piano.musicxml"

FILES = {
    "voice.wav": "audio/wav",
    "spectrum.png": "image/png",
    "piano.wav": "audio/wav",
    "piano.mid": "audio/midi",
    SHEET: "application/vnd.recordare.musicxml+xml",
    "piano.csv": "text/csv",
}
"""What a recording's folder holds for the visitor, with its media type."""

EMPTY = "This file is empty."
SLOW = "The recording did not arrive in time. Please try again."


def add_addresses(app: FastAPI, sessions: Sessions) -> None:
    """Add everything but the line of jobs."""

    async def show_page(_request: Request) -> Response:
        text = (PAGE / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{{limits}}", html.escape(json.dumps(sessions.limits.told()))))

    async def give_page_file(request: Request) -> Response:
        path = PAGE / request.path_params["name"]  # the door lets no slash through
        return FileResponse(path) if path.is_file() else _refused("There is nothing here.", 404)

    async def give_icon(_request: Request) -> Response:
        return FileResponse(PAGE / "icon.svg")

    async def tell_health(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def take_recording(request: Request) -> Response:
        return await _receive(request, sessions)

    async def take_example(_request: Request) -> Response:
        try:
            session = sessions.open()
        except PageError as error:
            return _refused(str(error), 503)
        shutil.copyfile(EXAMPLE, session.upload)
        return JSONResponse({"recording": session.id})

    async def give_file(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            session = sessions.find(request.path_params["recording"])
            if name == SHEET:
                await asyncio.to_thread(write_sheet, session)
        except PageError as error:
            return _refused(str(error), 404)
        path = session.folder / name
        if name not in FILES or not path.is_file():
            return _refused("There is nothing here.", 404)
        return FileResponse(path, media_type=FILES[name])

    async def forget(request: Request) -> Response:
        sessions.forget(request.path_params["recording"])
        return Response(status_code=204)

    app.add_route("/", show_page)
    app.add_route("/page/{name}", give_page_file)
    app.add_route("/favicon.ico", give_icon)
    app.add_route("/health", tell_health)
    app.add_route("/recordings", take_recording, methods=["POST"])
    app.add_route("/example", take_example, methods=["POST"])
    app.add_route("/recordings/{recording}/forget", forget, methods=["POST"])
    app.add_route("/recordings/{recording}/{name}", give_file)


async def _receive(request: Request, sessions: Sessions) -> Response:
    """Keep what is sent, as long as it is within the limits, and give it an id."""
    limits = sessions.limits
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limits.upload_bytes:
        return _refused(_too_large(limits), 413)
    try:
        session = sessions.open()
    except PageError as error:
        return _refused(str(error), 503)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            problem = await _store(request, session, limits)
    except TimeoutError:
        problem = SLOW
    except BaseException as error:
        sessions.forget(session.id)
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)
        raise
    if problem:
        sessions.forget(session.id)
        return _refused(problem, 413 if problem == _too_large(limits) else 400)
    return JSONResponse({"recording": session.id})


async def _store(request: Request, session: Session, limits: Limits) -> str:
    """Write the request's body to the session's folder; give the reason if it is refused."""
    n_bytes = 0
    with session.upload.open("wb") as file:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > limits.upload_bytes:
                return _too_large(limits)
            file.write(chunk)
    return "" if n_bytes else EMPTY


def _too_large(limits: Limits) -> str:
    return (
        f"This file is larger than {limits.upload_bytes >> 20} MB. A few minutes of singing are enough; "
        f"{spoken(limits.part_seconds)} at a time is played."
    )


def _refused(problem: str, status: int) -> Response:
    return JSONResponse({"error": problem}, status)
