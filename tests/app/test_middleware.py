"""Access control: open paths, allowed hosts and origins, size of requests."""

import asyncio

import pytest

from hf_model.app.middleware import SMALL_BODY, AccessMiddleware

ID = "0123456789abcdef" * 2


async def _hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


def call(path: str, method: str = "GET", only_loopback: bool = True, kind: str = "http", **headers: str):
    """Status and headers of a response through the middleware, or None if there is no response."""
    sent = []

    async def send(message):
        sent.append(message)

    head = {"host": "127.0.0.1:7860"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": [(n.encode(), v.encode()) for n, v in head.items()],
    }
    asyncio.run(AccessMiddleware(_hello, only_loopback)(scope, None, send))
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None


@pytest.mark.parametrize(
    "path", ["/", "/health", "/page/main.js", f"/recordings/{ID}/piano.wav", "/engine/gradio_api/queue/data"]
)
def test_the_page_is_served_with_security_headers(path: str) -> None:
    status, headers = call(path)
    assert status == 200
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/engine/", "/engine/config", "/engine/gradio_api/upload", "/engine/gradio_api/file=/etc/passwd", "/docs",
        "/engine/gradio_api/proxy=http://example.org", "/engine/monitoring", "/engine/gradio_api/vibe-edit", "/page/",
        "/page/../app.py", "/page/..%2fapp.py", f"/recordings/{ID}/../x", "/recordings/short/piano.wav", "//", "/a b",
    ],
)  # fmt: skip
def test_other_paths_do_not_exist(path: str) -> None:
    assert call(path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:7860"])
def test_other_host_names_are_refused_on_loopback(host: str) -> None:
    assert call("/", host=host)[0] == 400
    assert call("/", host=host, only_loopback=False)[0] == 200


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860"])
def test_loopback_host_names_are_served(host: str) -> None:
    assert call("/", host=host)[0] == 200


def test_other_origins_may_link_but_not_post() -> None:
    assert call("/", sec_fetch_site="cross-site")[0] == 200
    assert call("/recordings", "POST", sec_fetch_site="cross-site", content_length="9")[0] == 403
    assert call("/recordings", "POST", sec_fetch_site="same-origin", content_length="9")[0] == 200


def test_only_uploads_may_be_large() -> None:
    join = "/engine/gradio_api/queue/join"
    assert call(join, "POST", content_length=str(SMALL_BODY))[0] == 200
    assert call(join, "POST", content_length=str(SMALL_BODY + 1))[0] == 413
    assert call(join, "POST")[0] == 413, "the length must be declared"
    assert call("/recordings", "POST", content_length=str(SMALL_BODY + 1))[0] == 200


def test_a_websocket_is_not_answered() -> None:
    assert call("/", kind="websocket") is None
