"""Access control: open paths, allowed hosts and origins, size of requests."""

import asyncio
import json

import pytest

from hf_model.app.middleware import DATA, JOIN, SMALL_BODY, AccessMiddleware

ID = "0123456789abcdef" * 2


BODY = json.dumps({"data": [ID, 0, {}], "fn_index": 0, "session_hash": ID}).encode()


async def _hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


def call(path: str, method: str = "GET", only_loopback: bool = True, kind: str = "http", **headers: str):
    """Status and headers of a response through the middleware, or None if there is no response."""
    path, _, query = path.partition("?")
    sent = []

    async def receive():
        return {"type": "http.request", "body": BODY}

    async def send(message):
        sent.append(message)

    head = {"host": "127.0.0.1:7860"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "query_string": query.encode(),
        "headers": [(n.encode(), v.encode()) for n, v in head.items()],
    }
    asyncio.run(AccessMiddleware(_hello, only_loopback)(scope, receive, send))
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None


@pytest.mark.parametrize(
    "path", ["/", "/health", "/page/main.js", f"/recordings/{ID}/piano.wav", f"{DATA}?session_hash={ID}"]
)
def test_the_page_is_served_with_security_headers(path: str) -> None:
    status, headers = call(path)
    assert status == 200
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"referrer-policy"] == b"same-origin", "beacons have an origin"


@pytest.mark.parametrize(
    "path",
    [
        "/engine/", "/engine/config", "/engine/gradio_api/upload", "/engine/gradio_api/file=/etc/passwd", "/docs",
        "/engine/gradio_api/proxy=http://example.org", "/engine/monitoring", "/engine/gradio_api/vibe-edit", "/page/",
        "/page/../app.py", "/page/..%2fapp.py", f"/recordings/{ID}/../x", "/recordings/short/piano.wav", "//", "/a b",
        f"/page/{'a' * 300}", f"/page/{'é' * 60}", f"/recordings/{ID}/{'a' * 300}",
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


@pytest.mark.parametrize("path", ["/recordings", "/example", f"/recordings/{ID}/forget", JOIN])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:7861",
        "http://127.0.0.1",
        "null",
        "",
        "http://[",
        "http://a@127.0.0.1:7860",
    ],
)
def test_posts_from_another_origin_are_refused(path: str, origin: str) -> None:
    length = {"content_length": "9", "content_type": "application/json"}
    assert call(path, "POST", origin=origin, **length)[0] == 403
    assert call(path, "POST", origin=origin, sec_fetch_site="none", **length)[0] == 403
    assert call(path, "POST", origin="http://127.0.0.1:7860", **length)[0] == 200
    assert (
        call(path, "POST", origin="https://Voice.Example", host="voice.example", only_loopback=False, **length)[0]
        == 200
    )


def test_a_browser_may_compare_the_origin_itself() -> None:
    known = {"origin": "https://voice.example", "host": "10.0.0.1:7860", "content_length": "9"}
    assert call("/example", "POST", only_loopback=False, sec_fetch_site="same-origin", **known)[0] == 200
    assert call("/example", "POST", only_loopback=False, **known)[0] == 403


def test_reading_needs_no_origin() -> None:
    assert call("/", origin="http://evil.example")[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_job_is_posted(method: str) -> None:
    assert call(JOIN, method, content_type="application/json", content_length="9")[0] == 405


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_events_are_read(method: str) -> None:
    assert call(f"{DATA}?session_hash={ID}", method, content_length="0")[0] == 405


@pytest.mark.parametrize(
    "query",
    [
        "", "session_hash=", "session_hash=many", f"session_hash={ID}0", f"session_hash={ID}%0a",
        f"session_hash={ID}&a=1",
        f"session_hash={ID}&session_hash={ID}", f"a=1&session_hash={ID}", f"session_hash={ID.upper()}", f"hash={ID}",
    ],
)  # fmt: skip
def test_events_have_one_query_parameter(query: str) -> None:
    assert call(f"{DATA}?{query}")[0] == 400


def test_only_uploads_may_be_large() -> None:
    json_type = "application/json"
    assert call(JOIN, "POST", content_type=json_type, content_length=str(SMALL_BODY))[0] == 200
    assert call(JOIN, "POST", content_type=json_type, content_length=str(SMALL_BODY + 1))[0] == 413
    assert call(JOIN, "POST", content_type=json_type)[0] == 413, "the length must be declared"
    assert call("/recordings", "POST", content_length=str(SMALL_BODY + 1))[0] == 200


def test_a_websocket_is_not_answered() -> None:
    assert call("/", kind="websocket") is None
