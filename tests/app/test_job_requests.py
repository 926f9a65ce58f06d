"""The body of a job: only the form that the page sends reaches Gradio."""

import asyncio
import json

import pytest

from hf_model.app import middleware
from hf_model.app.job_requests import MAX_ROWS, MAX_TEXT, check_job
from hf_model.app.limits import PageError
from hf_model.app.middleware import JOIN, SMALL_BODY, AccessMiddleware

ID = "0123456789abcdef" * 2
NOTE = [0.0, 0.5, 60.02, 80, 0.9]
SETTINGS = {
    "arrangement": {"quantize": "1/8t", "transpose": -2, "strength": 0.5, "snap_key": True, "tempo": None},
    "performance": {"sound": "sampled", "pedal": False, "reverb": 0.2},
}
FILES = [
    {"path": path, "meta": {"_type": "gradio.FileData"}}
    for path in ("/etc/passwd", "/dev/zero", "http://192.0.2.1/a.wav", "file:///etc/passwd")
]


def job(*data: object, **changes: object) -> dict[str, object]:
    return {"data": list(data), "fn_index": 0, "session_hash": ID} | changes


def as_bytes(body: object) -> bytes:
    return json.dumps(body).encode()


ACCEPTED = {
    "convert": job(ID, 0, {}),
    "convert a part": job(ID, 12.5, SETTINGS),
    "render": job(ID, [NOTE, [1, 2, 62, 80, 1]], SETTINGS, fn_index=1),
    "render no notes": job(ID, [], {}, fn_index=1),
    "as many notes as a job refuses itself": job(ID, [NOTE] * 1001, {}, fn_index=1),
}

REFUSED = {
    "no keys": {},
    "list": [],
    "number": 7,
    "text": "a",
    "null": None,
    "no session": {"data": [ID, 0, {}], "fn_index": 0},
    "no function": {"data": [ID, 0, {}], "session_hash": ID},
    "another key": job(ID, 0, {}, event_data=None),
    "file in another key": job(ID, 0, {}, event_data=FILES[0]),
    "trigger": job(ID, 0, {}, trigger_id=1),
    "text as data": job(data=ID),
    "object as data": job(data={"0": ID}),
    "no data": job(),
    "two values": job(ID, 0),
    "four values": job(ID, 0, {}, None),
    "short id": job(ID[1:], 0, {}),
    "id in capitals": job(ID.upper(), 0, {}),
    "id and a line break": job(ID + "\n", 0, {}),
    "path as id": job("../../etc/passwd", 0, {}),
    "number as id": job(7, 0, {}),
    "list as id": job([ID], 0, {}),
    "text as start": job(ID, "0", {}),
    "bool as start": job(ID, True, {}),
    "no start": job(ID, None, {}),
    "notes as start": job(ID, [NOTE], {}),
    "large start": job(ID, 10**7, {}),
    "huge start": job(ID, 10**4000, {}),
    "start as notes": job(ID, 0, {}, fn_index=1),
    "object as notes": job(ID, {"0": NOTE}, {}, fn_index=1),
    "text as notes": job(ID, "notes", {}, fn_index=1),
    "short note": job(ID, [NOTE[:4]], {}, fn_index=1),
    "long note": job(ID, [[*NOTE, 1]], {}, fn_index=1),
    "object as note": job(ID, [{"onset": 0}], {}, fn_index=1),
    "text in a note": job(ID, [[*NOTE[:4], "1"]], {}, fn_index=1),
    "bool in a note": job(ID, [[*NOTE[:4], True]], {}, fn_index=1),
    "null in a note": job(ID, [[*NOTE[:4], None]], {}, fn_index=1),
    "list in a note": job(ID, [[*NOTE[:4], [1]]], {}, fn_index=1),
    "too many notes": job(ID, [[0] * 5] * (MAX_ROWS + 1), {}, fn_index=1),
    "list as settings": job(ID, 0, []),
    "text as settings": job(ID, 0, "{}"),
    "null as settings": job(ID, 0, None),
    "another section": job(ID, 0, {"path": {}}),
    "file of plain values": job(ID, 0, {"path": "/etc/passwd", "meta": "gradio.FileData"}),
    "another setting": job(ID, 0, {"arrangement": {"path": "/etc/passwd"}}),
    "plain section": job(ID, 0, {"arrangement": 1}),
    "list in a setting": job(ID, 0, {"arrangement": {"tempo": [90]}}),
    "long text": job(ID, 0, {"arrangement": {"meter": "4" * (MAX_TEXT + 1)}}),
    "control character": job(ID, 0, {"arrangement": {"meter": "4/4\0"}}),
    "half a character": job(ID, 0, {"arrangement": {"meter": "\ud800"}}),
    "large setting": job(ID, 0, {"arrangement": {"tempo": 1e7}}),
    "negative function": job(ID, 0, {}, fn_index=-1),
    "unknown function": job(ID, 0, {}, fn_index=2),
    "bool as function": job(ID, 0, {}, fn_index=False),
    "float as function": job(ID, 0, {}, fn_index=0.0),
    "null as function": job(ID, 0, {}, fn_index=None),
    "short session": job(ID, 0, {}, session_hash="many"),
    "null as session": job(ID, 0, {}, session_hash=None),
}
for number, file in enumerate(FILES):
    REFUSED |= {
        f"file {number} as id": job(file, 0, {}),
        f"file {number} as start": job(ID, file, {}),
        f"file {number} as notes": job(ID, file, {}, fn_index=1),
        f"file {number} as note": job(ID, [file], {}, fn_index=1),
        f"file {number} in a note": job(ID, [[*NOTE[:4], file]], {}, fn_index=1),
        f"file {number} as settings": job(ID, 0, file),
        f"file {number} as section": job(ID, 0, {"arrangement": file}),
        f"file {number} in a setting": job(ID, 0, {"arrangement": {"tempo": file}}),
        f"file {number} beyond the third value": job(ID, 0, {}, file),
        f"file {number} as session": job(ID, 0, {}, session_hash=file),
        f"file {number} as all": file,
    }

NOT_JSON = {
    "empty": b"",
    "cut": as_bytes(job(ID, 0, {}))[:-1],
    "two values": as_bytes(job(ID, 0, {})) * 2,
    "not a number": as_bytes(job(ID, float("nan"), {})),
    "infinity": as_bytes(job(ID, float("inf"), {})),
    "infinity in a note": as_bytes(job(ID, [[*NOTE[:4], float("-inf")]], {}, fn_index=1)),
    "number beyond the range of floats": as_bytes(job(ID, 0, {})).replace(b" 0,", b" 1e999,", 1),
    "5000 digits": as_bytes(job(ID, 0, {})).replace(b" 0,", b" " + b"9" * 5000 + b",", 1),
    "deep": b"[" * SMALL_BODY,
    "deep data": as_bytes(job(ID, 0, {})).replace(b"{}", b"[" * 200_000 + b"]" * 200_000),
    "not UTF-8": as_bytes(job(ID, 0, {})).replace(b"{}", b'"\xff"'),
    "UTF-16": json.dumps(job(ID, 0, {})).encode("utf-16"),
    "form": b"data=1&fn_index=0",
}
BODIES = {name: as_bytes(body) for name, body in REFUSED.items()} | {f"JSON: {n}": body for n, body in NOT_JSON.items()}


class Inner:
    """An ASGI application that records the bodies it receives."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.scope: dict[str, object] = {}

    async def __call__(self, scope, receive, send) -> None:
        message = await receive()
        assert not message["more_body"]
        self.scope = scope
        self.bodies.append(message["body"])
        assert (await receive())["type"] == "http.disconnect", "later messages are the server's"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def join(*chunks: bytes | None, query: bytes = b"", delay: float = 0.0, **headers: str) -> tuple[int, bytes, Inner]:
    """Send a body in chunks, None for a lost connection: status and text of the response, and the inner application."""
    inner, sent = Inner(), []
    messages = [
        {"type": "http.disconnect"}
        if chunk is None
        else {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]

    async def receive():
        await asyncio.sleep(delay)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    head = {"host": "localhost", "content-type": "application/json", "content-length": "9"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": "http", "method": "POST", "path": JOIN, "query_string": query}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in head.items()]
    asyncio.run(AccessMiddleware(inner, only_loopback=True)(scope, receive, send))
    return (sent[0]["status"], sent[1]["body"], inner) if sent else (0, b"", inner)


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_jobs_of_the_page_reach_gradio(name: str) -> None:
    body = as_bytes(ACCEPTED[name])
    status, _, inner = join(body[:10], body[10:], b"", content_length=str(len(body)))
    assert status == 200
    assert [json.loads(received) for received in inner.bodies] == [ACCEPTED[name]]
    assert dict(inner.scope["headers"])[b"content-length"] == str(len(inner.bodies[0])).encode()


@pytest.mark.parametrize("name", BODIES)
def test_other_bodies_are_refused_before_gradio(name: str) -> None:
    status, text, inner = join(BODIES[name])
    assert status == 400
    assert text.startswith(b"The request is not valid")
    assert len(text) < 60
    assert inner.bodies == []


def test_the_body_is_written_again() -> None:
    hidden = as_bytes(job(ID, 0, {})).replace(b"{}", b'{"performance": {"sound": {"path": "/x"}}, "performance": {}}')
    assert json.loads(check_job(b" \n" + hidden)) == job(ID, 0, {"performance": {}})
    assert b"path" not in check_job(hidden), "only the last of two equal keys is read"
    with pytest.raises(PageError, match="settings"):
        check_job(hidden.replace(b'"performance": {}', b'"arrangement": {}'))


def test_a_body_is_counted_while_it_is_read() -> None:
    valid = as_bytes(job(ID, 0, {}))
    assert join(valid + b" " * (SMALL_BODY - len(valid)))[0] == 200
    status, text, inner = join(*[b" " * 65536] * 16, valid)
    assert (status, text, inner.bodies) == (400, b"This request is too large.", [])


def test_a_slow_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.05)
    status, text, inner = join(*(bytes([byte]) for byte in as_bytes(job(ID, 0, {}))), delay=0.01)
    assert (status, text, inner.bodies) == (400, b"The request did not arrive in time.", [])


def test_a_lost_connection_is_not_answered() -> None:
    status, _, inner = join(b'{"data"', None)
    assert (status, inner.bodies) == (0, [])


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_other_content_types_are_refused(kind: str) -> None:
    status, _, inner = join(as_bytes(job(ID, 0, {})), content_type=kind)
    assert (status, inner.bodies) == (400, [])
    assert join(as_bytes(job(ID, 0, {})), content_type="Application/JSON; charset=utf-8")[0] == 200


def test_a_query_is_refused() -> None:
    status, _, inner = join(as_bytes(job(ID, 0, {})), query=b"session_hash=" + ID.encode())
    assert (status, inner.bodies) == (400, [])
