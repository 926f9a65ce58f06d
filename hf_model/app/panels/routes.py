"""The routes of the page's panels: the engraved score, the score to practise with, and what comes again."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hf_model.app.job_queue import OneByOne
from hf_model.app.job_routes import read_body, with_reasons
from hf_model.app.panels.engraved import engraved_score
from hf_model.app.panels.practice import store_score
from hf_model.app.panels.structure import find_structure
from hf_model.app.sessions import Sessions

WIDTH = 800
"""Pixels, if none is asked for."""


def add_panel_routes(app: Starlette, sessions: Sessions, writing: OneByOne) -> None:
    """Add ``GET .../score.json?width=``, ``GET .../structure.json`` and ``POST .../practice`` of a recording."""

    async def send_score(request: Request) -> Response:
        session = sessions.find(request.path_params["recording"])
        width = request.query_params.get("width", "")
        pixels = int(width) if width.isascii() and width.isdecimal() and len(width) < 6 else WIDTH
        found = await writing.run(engraved_score, session, pixels, sessions.limits)
        sessions.measure(session)
        return JSONResponse(found)

    async def send_structure(request: Request) -> Response:
        session = sessions.find(request.path_params["recording"])
        return JSONResponse(await asyncio.to_thread(find_structure, session))

    async def take_score(request: Request) -> Response:
        session = sessions.find(request.path_params["recording"])
        async with asyncio.timeout(sessions.limits.body_seconds):
            data = await read_body(request)
        await asyncio.to_thread(store_score, session, sessions, data)
        sessions.measure(session)  # without the score before
        return JSONResponse({})

    app.add_route("/recordings/{recording}/score.json", with_reasons(send_score))
    app.add_route("/recordings/{recording}/structure.json", with_reasons(send_structure))
    app.add_route("/recordings/{recording}/practice", with_reasons(take_score), methods=["POST"])
