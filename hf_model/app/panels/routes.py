"""The routes of the page's panels: the engraved score."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hf_model.app.limits import PageError
from hf_model.app.panels.engraved import engraved_score
from hf_model.app.sessions import Sessions


def add_panel_routes(app: Starlette, sessions: Sessions) -> None:
    """Add the routes, before the one of a recording's files."""

    async def send_score(request: Request) -> Response:
        width = request.query_params.get("width", "")
        try:
            session = sessions.find(request.path_params["recording"])
            pixels = int(width) if width.isdecimal() and len(width) < 6 else 800
            found = await asyncio.to_thread(engraved_score, session, pixels)
        except PageError as error:
            return JSONResponse({"error": str(error)}, 404)
        sessions.measure(session)
        return JSONResponse(found)

    app.add_route("/recordings/{recording}/score.json", send_score)
