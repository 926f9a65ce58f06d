"""Access control of the page: which paths exist, from which origins, and which requests reach Gradio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from hf_model.app.job_requests import check_job
from hf_model.app.limits import PageError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ENGINE = "/engine"
"""Path where Gradio is mounted."""

SMALL_BODY = 1 << 20
"""Bytes; the largest request body, except for uploads."""

BODY_SECONDS = 10.0
"""Longest time for the body of a job."""

JOIN = f"{ENGINE}/gradio_api/queue/join"
DATA = f"{ENGINE}/gradio_api/queue/data"

_OPEN = re.compile(
    r"/|/health|/favicon\.ico|/page/[\w.-]{1,64}|/example|/recordings|/recordings/[0-9a-f]{32}/[\w.-]{1,64}"
    rf"|{JOIN}|{DATA}",
    re.ASCII,
)
"""All open paths. Gradio has many more, for proxies, uploads, files and monitoring: none of them is needed."""

_QUEUE = {JOIN: ("POST", re.compile(rb"")), DATA: ("GET", re.compile(rb"session_hash=[0-9a-f]{32}"))}
"""Method and query of the paths of Gradio."""

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", re.IGNORECASE)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
)


class AccessMiddleware:
    """Refuse requests that the page does not make, and add security headers to the other responses.

    Parameters
    ----------
    app : ASGI application
    only_loopback : bool
        Whether to refuse host names other than this machine's: protects against DNS rebinding.
    embedded_in : str
        Origins that may show the page in a frame, as in a content security policy.
    """

    def __init__(self, app: App, only_loopback: bool, embedded_in: str = "'none'") -> None:
        self.app = app
        self.only_loopback = only_loopback
        self.headers = [
            (b"content-security-policy", f"{_POLICY}{embedded_in}".encode()),
            (b"x-content-type-options", b"nosniff"),
            # By the Fetch standard, "no-referrer" makes the origin of beacons "null".
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the page uses no websockets
        refusal = self._refusal(scope)
        if refusal:
            await _respond(send, *refusal)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = [*self.headers, (b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *((n, v) for n, v in extra if n not in known)]
            await send(message)

        if scope["path"] == JOIN:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = check_job(await _read_body(receive))
            except ConnectionError:
                return
            except TimeoutError:
                await _respond(send, 400, "The request did not arrive in time.")
                return
            except PageError as error:
                await _respond(send, 400, str(error))
                return
            scope, receive = _with_body(scope, receive, body)
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self.only_loopback and not _LOOPBACK.fullmatch(headers.get(b"host", "")):
            return 400, "This page is available on its own machine only."
        path = str(scope["path"])
        if not _OPEN.fullmatch(path):
            return 404, "Not found."
        if headers.get(b"sec-fetch-site", "none") not in {"none", "same-origin"} and path != "/":
            return 403, "Requests from other origins are not allowed."
        sends = scope["method"] not in {"GET", "HEAD"}
        if sends and not _is_same_origin(headers):
            return 403, "Requests from other origins are not allowed."
        if path in _QUEUE:
            method, query = _QUEUE[path]
            if scope["method"] != method:
                return 405, "This method is not allowed."
            if not query.fullmatch(scope["query_string"]):
                return 400, "The request is not valid: query."
        length = headers.get(b"content-length", "")
        if sends and path != "/recordings" and not (length.isdecimal() and int(length) <= SMALL_BODY):
            return 413, "This request is too large."
        if path == JOIN and headers.get(b"content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 400, "The request is not valid: content type."
        return None


def _is_same_origin(headers: dict[bytes, str]) -> bool:
    """Compare the origin with the host, unless the browser did: a proxy may change the host.

    Browsers omit Sec-Fetch-Site where the address is neither https nor this machine's. Other programs omit both.
    """
    origin = headers.get(b"origin")
    if origin is None or headers.get(b"sec-fetch-site") == "same-origin":
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower() != ""
    except ValueError:  # an address with invalid brackets
        return False


async def _read_body(receive: Receive) -> bytes:
    """Read a body of at most ``SMALL_BODY`` bytes, whatever length is declared."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body += message.get("body", b"")
        if len(body) > SMALL_BODY:
            msg = "This request is too large."
            raise PageError(msg)
        if not message.get("more_body", False):
            return bytes(body)


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """Replace the body of a request, which was read already."""
    waiting: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_body() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    headers = [(name, value) for name, value in scope["headers"] if name not in {b"content-length", b"content-type"}]
    headers += [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    return {**scope, "headers": headers}, receive_body


async def _respond(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
