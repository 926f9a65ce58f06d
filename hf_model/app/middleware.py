"""Access control of the page: which paths exist, from which origins, and the token."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL_BODY = 1 << 20
"""Bytes; the largest request body, except for uploads."""

LOCKED = "This page needs a token: open the address that the server printed when it started."

_OPEN = re.compile(
    r"/|/health|/favicon\.ico|/page/[\w.-]{1,64}|/example|/jobs|/live|/recordings|/recordings/[0-9a-f]{32}/[\w.-]{1,64}",
    re.ASCII,
)
"""All open paths."""

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
    token : str
        What every request must show, as ``?token=`` once (a cookie then replaces it) or as a bearer token; "" for none.
    """

    def __init__(self, app: App, only_loopback: bool, embedded_in: str = "'none'", token: str = "") -> None:
        self.app = app
        self.only_loopback = only_loopback
        self.token = token
        # The cookie is not the token: it ends with the server.
        self.cookie = secrets.token_urlsafe(24)
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
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal:
            await _respond(send, *refusal)
            return
        if self.token and not self._is_admitted(scope, headers):
            await self._admit(scope, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = [*self.headers, (b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *((n, v) for n, v in extra if n not in known)]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _is_admitted(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        """Whether a request has the cookie, or the token as a bearer token."""
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), self.token):
            return True
        try:
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(_cookie_name(scope))
        except CookieError:
            return False
        return cookie is not None and _equal(cookie.value, self.cookie)

    async def _admit(self, scope: Scope, send: Send) -> None:
        """Exchange the token in the address for a cookie; the address without it is shown then."""
        try:
            given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=9).get("token", [""])[-1]
        except ValueError:
            given = ""
        if scope["path"] != "/" or scope["method"] != "GET" or not _equal(given, self.token):
            await _respond(send, 401, LOCKED, (b"www-authenticate", b"Bearer"))
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        # Not "Strict": the browser would leave the cookie out after a click on a link in a message.
        cookie = f"{_cookie_name(scope)}={self.cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"
        await _respond(send, 303, "", (b"location", b"./"), (b"set-cookie", cookie.encode("ascii")))

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str] | None:
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
        length = headers.get(b"content-length", "")
        if sends and path != "/recordings" and not (length.isdecimal() and int(length) <= SMALL_BODY):
            return 413, "This request is too large."
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if sends and path == "/jobs" and kind != "application/json":
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


def _equal(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing, not even the length."""
    digests = [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, expected)]
    return hmac.compare_digest(*digests)


def _cookie_name(scope: Scope) -> str:
    """Name the cookie after the port: browsers do not keep the ports of a host apart."""
    server = scope.get("server")
    return f"hummingface-{server[1] if server else 0}"


async def _respond(send: Send, status: int, text: str, *extra: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
