"""Access control of the page: which paths exist, from which origins, and how large a request may be."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ENGINE = "/engine"
"""Path where Gradio is mounted."""

SMALL_BODY = 1 << 20
"""Bytes; the largest request body, except for uploads."""

_OPEN = re.compile(
    rf"/|/health|/favicon\.ico|/page/[\w.-]+|/example|/recordings|/recordings/[0-9a-f]{{32}}/[\w.-]+"
    rf"|{ENGINE}/gradio_api/queue/(join|data)"
)
"""All open paths. Gradio has many more, for proxies, uploads, files and monitoring: none of them is needed."""

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", re.IGNORECASE)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
)


class AccessMiddleware:
    """Refuse requests that the page does not need, and add security headers to the other responses.

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
            (b"referrer-policy", b"no-referrer"),
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
        length = headers.get(b"content-length", "")
        if sends and path != "/recordings" and not (length.isdecimal() and int(length) <= SMALL_BODY):
            return 413, "This request is too large."
        return None


async def _respond(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
