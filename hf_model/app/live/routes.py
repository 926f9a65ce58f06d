"""The routes of a recording that is transcribed while it arrives: its beginning, its samples, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from hf_model.app.connections import client_of
from hf_model.app.job_routes import SLOW, read_body
from hf_model.app.limits import BusyError, PageError
from hf_model.app.live.recordings import LiveRecordings

NOT_VALID = "The request is not valid."


def add_live_routes(app: Starlette, live: LiveRecordings) -> None:
    """Add ``POST /live?rate=``, ``POST /recordings/ID/sound?first=`` and ``POST /recordings/ID/end``."""

    async def begin(request: Request) -> dict[str, Any]:
        rate = _number(request, "rate")
        return {"recording": await live.in_thread(live.begin, client_of(request.scope), rate)}

    async def take_sound(request: Request) -> dict[str, Any]:
        first = _number(request, "first")
        async with asyncio.timeout(live.limits.body_seconds):
            body = await read_body(request)
        return await live.in_thread(live.push, request.path_params["recording"], first, body)

    async def end(request: Request) -> dict[str, Any]:
        return await live.in_thread(live.end, request.path_params["recording"])

    app.add_route("/live", _answered(begin), methods=["POST"])
    app.add_route("/recordings/{recording}/sound", _answered(take_sound), methods=["POST"])
    app.add_route("/recordings/{recording}/end", _answered(end), methods=["POST"])


def _answered(handle: Callable[[Request], Awaitable[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer with JSON, or with the reason why not."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handle(request))
        except ClientDisconnect:
            return Response(status_code=400)
        except TimeoutError:
            return JSONResponse({"error": SLOW}, 408)
        except BusyError as error:
            return JSONResponse({"error": str(error)}, 503)
        except PageError as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


def _number(request: Request, name: str) -> int:
    """Read a whole number of the address."""
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise PageError(NOT_VALID)
    return int(text)
