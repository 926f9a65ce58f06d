"""The routes of a recording that is transcribed while it arrives: its beginning, its samples, its end."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hf_model.app.connections import client_of
from hf_model.app.job_routes import read_body, with_reasons
from hf_model.app.limits import PageError
from hf_model.app.live.recordings import LiveRecordings

NOT_VALID = "The request is not valid."


def add_live_routes(app: Starlette, live: LiveRecordings) -> None:
    """Add ``POST /live?rate=``, ``POST /recordings/ID/sound?first=`` and ``POST /recordings/ID/end``."""

    async def begin(request: Request) -> Response:
        rate = _number(request, "rate")
        return JSONResponse({"recording": await live.in_thread(live.begin, client_of(request.scope), rate)})

    async def take_sound(request: Request) -> Response:
        first = _number(request, "first")
        async with asyncio.timeout(live.limits.body_seconds):
            body = await read_body(request)
        return JSONResponse(await live.in_thread(live.push, request.path_params["recording"], first, body))

    async def end(request: Request) -> Response:
        return JSONResponse(await live.in_thread(live.end, request.path_params["recording"]))

    app.add_route("/live", with_reasons(begin), methods=["POST"])
    app.add_route("/recordings/{recording}/sound", with_reasons(take_sound), methods=["POST"])
    app.add_route("/recordings/{recording}/end", with_reasons(end), methods=["POST"])


def _number(request: Request, name: str) -> int:
    """Read a whole number of the address."""
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise PageError(NOT_VALID)
    return int(text)
