"""Access control: open paths, allowed hosts and origins, size of requests."""

import asyncio

import pytest

from hf_model.app.middleware import SMALL_BODY, AccessMiddleware

ID = "0123456789abcdef" * 2


async def _hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


def call(
    path: str,
    method: str = "GET",
    only_loopback: bool = True,
    kind: str = "http",
    within: AccessMiddleware | None = None,
    **headers: str,
):
    """Status and headers of a response through the middleware, or None if there is no response."""
    path, _, query = path.partition("?")
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

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
    asyncio.run((within or AccessMiddleware(_hello, only_loopback))(scope, receive, send))
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None


@pytest.mark.parametrize(
    "path", ["/", "/health", "/page/main.js", f"/recordings/{ID}/piano.wav", f"/recordings/{ID}/piano.wav?v=3"]
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
        "/engine/", "/engine/gradio_api/queue/join", "/docs", "/openapi.json", "/jobs/", "/jobs/1", "/page/",
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


@pytest.mark.parametrize("path", ["/recordings", "/example", f"/recordings/{ID}/forget", "/jobs"])
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


def test_only_uploads_may_be_large() -> None:
    json_type = "application/json"
    assert call("/jobs", "POST", content_type=json_type, content_length=str(SMALL_BODY))[0] == 200
    assert call("/jobs", "POST", content_type=json_type, content_length=str(SMALL_BODY + 1))[0] == 413
    assert call("/jobs", "POST", content_type=json_type)[0] == 413, "the length must be declared"
    assert call("/recordings", "POST", content_length=str(SMALL_BODY + 1))[0] == 200


def test_a_websocket_is_not_answered() -> None:
    assert call("/", kind="websocket") is None


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_jobs_of_other_content_types_are_refused(kind: str) -> None:
    assert call("/jobs", "POST", content_type=kind, content_length="9")[0] == 400
    assert call("/jobs", "POST", content_type="Application/JSON; charset=utf-8", content_length="9")[0] == 200


TOKEN = "Tr4lala-la.la~"


@pytest.fixture
def locked() -> AccessMiddleware:
    return AccessMiddleware(_hello, only_loopback=True, token=TOKEN)


@pytest.mark.parametrize("path", ["/", "/health", "/page/main.js", f"/recordings/{ID}/piano.wav"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}a"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer "},
        {"authorization": TOKEN},
        {"cookie": f"hummingface-0={TOKEN}"},
        {"cookie": "hummingface-0="},
        {"cookie": 'hummingface-0="'},
        {"cookie": "\x80=;;;,"},
    ],
)
def test_without_the_token_nothing_is_served(locked: AccessMiddleware, path: str, given: dict[str, str]) -> None:
    status, headers = call(path, within=locked, **given)
    assert (status, headers[b"www-authenticate"]) == (401, b"Bearer")
    length = {"content_length": "9", "content_type": "application/json"}
    for posted in ("/recordings", "/jobs", "/example", f"/recordings/{ID}/forget"):
        assert call(posted, "POST", within=locked, **length, **given)[0] == 401


def test_a_bearer_token_is_enough(locked: AccessMiddleware) -> None:
    assert call("/health", within=locked, authorization=f"Bearer {TOKEN}")[0] == 200
    assert call("/recordings", "POST", within=locked, authorization=f"bearer  {TOKEN}", content_length="9")[0] == 200


def test_the_token_in_the_address_becomes_a_cookie(locked: AccessMiddleware) -> None:
    status, headers = call(f"/?token={TOKEN}", within=locked, sec_fetch_site="cross-site")
    assert (status, headers[b"location"]) == (303, b"./"), "the token leaves the address"
    cookie, *attributes = headers[b"set-cookie"].decode().split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert TOKEN not in cookie, "the cookie ends with the server, the token may be used again"
    assert call("/", within=locked, cookie=f"a=1; {cookie}")[0] == 200
    assert call("/recordings", "POST", within=locked, cookie=cookie, content_length="9")[0] == 200
    other = AccessMiddleware(_hello, only_loopback=True, token=TOKEN)
    assert call("/", within=other, cookie=cookie)[0] == 401, "another server, or this one after a restart"


@pytest.mark.parametrize("query", ["", "token=", f"token={TOKEN}a", f"token={TOKEN[1:]}", "token=%ff", "a=1&" * 99])
def test_another_token_in_the_address_is_refused(locked: AccessMiddleware, query: str) -> None:
    assert call(f"/?{query}", within=locked)[0] == 401


def test_the_token_is_for_the_page_only(locked: AccessMiddleware) -> None:
    assert call(f"/health?token={TOKEN}", within=locked)[0] == 401
    assert call(f"/?token={TOKEN}", "POST", within=locked, content_length="0")[0] == 401


def test_the_token_does_not_replace_the_other_checks(locked: AccessMiddleware) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}", "content_length": "9"}
    assert call("/", within=locked, host="evil.example", **bearer)[0] == 400
    assert call("/recordings", "POST", within=locked, origin="http://evil.example", **bearer)[0] == 403
