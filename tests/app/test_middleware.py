"""Which addresses exist, who may call them, and how much they may send."""

import asyncio

import pytest

from hf_model.app.middleware import SMALL_BODY, Door

ID = "0123456789abcdef" * 2


async def _hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


def call(path: str, method: str = "GET", only_loopback: bool = True, kind: str = "http", **headers: str):
    """Answer of the door with an app behind it that says hello: status and headers; none for no answer."""
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
    asyncio.run(Door(_hello, only_loopback)(scope, None, send))
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None


@pytest.mark.parametrize(
    "path", ["/", "/health", "/page/main.js", f"/recordings/{ID}/piano.wav", "/engine/gradio_api/queue/data"]
)
def test_the_page_is_let_through_with_headers_that_keep_it_to_itself(path: str) -> None:
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
def test_nothing_else_exists(path: str) -> None:
    assert call(path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:7860"])
def test_another_name_for_this_machine_is_refused_while_only_this_machine_is_served(host: str) -> None:
    assert call("/", host=host)[0] == 400
    assert call("/", host=host, only_loopback=False)[0] == 200


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860"])
def test_the_machine_s_own_names_are_served(host: str) -> None:
    assert call("/", host=host)[0] == 200


def test_other_pages_may_link_here_but_not_call() -> None:
    assert call("/", sec_fetch_site="cross-site")[0] == 200
    assert call("/recordings", "POST", sec_fetch_site="cross-site", content_length="9")[0] == 403
    assert call("/recordings", "POST", sec_fetch_site="same-origin", content_length="9")[0] == 200


def test_only_recordings_may_be_large() -> None:
    join = "/engine/gradio_api/queue/join"
    assert call(join, "POST", content_length=str(SMALL_BODY))[0] == 200
    assert call(join, "POST", content_length=str(SMALL_BODY + 1))[0] == 413
    assert call(join, "POST")[0] == 413, "without a length it could be endless"
    assert call("/recordings", "POST", content_length=str(SMALL_BODY + 1))[0] == 200


def test_a_websocket_is_not_answered() -> None:
    assert call("/", kind="websocket") is None
