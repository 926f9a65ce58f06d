"""Hostile requests: what they contain, made from the server's own description of jobs where there is one."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

from hf_model.app.job_requests import JOBS

MARKUP = "<script>alert(1)</script>"
FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}

WRONG: tuple[Any, ...] = (
    None, True, -1, 1e308, 10**30, "", "0", "../../etc/passwd", "/dev/zero", MARKUP, "\0", "é" * 50, "a" * 5000,
    "__class__", [], [[]], [None], [[1, 2, 3, 4]], [[1, 2, 3, 4, "5"]], [[0] * 5] * 10_001, {}, {"a": 1}, FILE,
    [FILE], {"arrangement": FILE}, {"arrangement": {"tempo": [1]}}, {"arrangement": {"tempo": FILE}},
    {"performance": None}, {"__proto__": {"a": 1}},
)  # fmt: skip
"""Values of wrong types; a few of them are right for one key or another, and must then be harmless."""

RIGHT = {
    "recording": "0" * 32, "start": 0, "end": 1, "source": "auto", "notes": [], "keys": [], "settings": {},
    "title": "a.wav", "lyrics": "la", "voice": "alto", "language": "en",
}  # fmt: skip
"""A right value for every key of every job."""

NOT_JSON = (
    b"", b"{", b"[]", b"null", b"7", b'"a"', b"\xff\xfe{\0}\0", b"{" * 100_000, b"[" * 500_000, b'{"a":' * 10_000,
    b"NaN", b'{"start":NaN}', b'{"start":1e999}', b'{"start":' + b"9" * 9999 + b"}", b"job=convert&recording=a",
    b"<?xml version='1.0'?><job/>", b"PK\3\4", bytes(1000),
)  # fmt: skip


def job_bodies() -> Iterator[bytes]:
    """Give bodies of jobs: every key of every job with every wrong value, keys that are missing, and other keys."""
    yield from NOT_JSON
    for kind, keys in JOBS.items():
        right = {"job": kind} | {key: RIGHT.get(key) for key in keys}
        for key in right:
            yield json.dumps({name: value for name, value in right.items() if name != key}).encode()
            for value in WRONG:
                yield json.dumps(right | {key: value}).encode()
        yield json.dumps(right | {"event_data": FILE}).encode()


PATHS = (
    "/..", "/../", "/../../etc/passwd", "/page/../server.py", "/page/..%2fserver.py", "/page/%2e%2e/server.py",
    "/page/..", "/page/%2e%2e%2fserver.py", "/page/..%5cserver.py", "/page/..%c0%afserver.py", "/page/%00",
    "/page/index.html%00.js", "/page//etc/passwd", "/page/./main.js", "/page/main.js/", "/page/main.js/..",
    "/page/" + "a" * 300, "/page/" + "a" * 64, "/page/é", "/page/%F0%9F%8E%B9", f"/page/{MARKUP}", "//",
    "///etc/passwd", "//evil.example/", "/\\evil.example", "/;/", "/.env", "/.git/config", "/config", "/docs",
    "/openapi.json", "/admin", "/metrics", "/engine/", "/engine/gradio_api/info",
    "/engine/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/proxy=http://192.0.2.1/", "/jobs/1", "/jobs/..",
    "/health/..", "/recordings/", "/recordings/..", "/recordings/../../etc/passwd", "/recordings/0/piano.wav",
    "/recordings/" + "0" * 32 + "/..%2f..%2fetc%2fpasswd", "/recordings/" + "0" * 32 + "/upload",
    "/recordings/" + "0" * 32 + "/" + "a" * 300, "/recordings/" + "A" * 32 + "/piano.wav",
    "/recordings/%2e%2e/piano.wav", "http://evil.example/", "http://127.0.0.1:22/", "*", "/%", "/%zz",
    "/?" + "a" * 3000, "/?token=" + MARKUP, "/" + "a" * 20_000,
)  # fmt: skip
"""Targets of requests. Only "/" with a query and "/page/NAME" of the page's own files exist."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "\x7f")

ORIGINS = (
    "http://evil.example", "https://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:1",
    "http://localhost.evil.example", "null", "", "file://", "http://[", "http://a@127.0.0.1",
    "chrome-extension://abc", "http://127.0.0.1\\@evil.example",
)  # fmt: skip

HOSTS = (
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "0.0.0.0", "[::]",
    "10.0.0.1", "169.254.169.254", "127.0.0.1:80:80", "", "localhost:evil", "127.0.0.1/evil", "2130706433", "0x7f.1",
    MARKUP, "é",
)  # fmt: skip
"""Names of this machine as an attacker's DNS would give them."""

UPLOAD = b"POST /recordings HTTP/1.1\r\nhost: 127.0.0.1\r\n"

BROKEN = (
    b"\0" * 500,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400),  # the start of TLS
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"get / http/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + b"x: a\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx\0: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\nx: a\n\n",
    UPLOAD + b"content-length: -1\r\n\r\n",
    UPLOAD + b"content-length: 1e9\r\n\r\n",
    UPLOAD + b"content-length: 5\r\ncontent-length: 50\r\n\r\nhello",
    UPLOAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    UPLOAD + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    UPLOAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nla",
    UPLOAD + b"transfer-encoding: chunked\r\n\r\n5;" + b"x" * 100_000,
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\n\r\n",
    b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 200,
)  # fmt: skip
"""Requests that are not HTTP, or not quite."""


def mutated(count: int, host: str) -> Iterator[bytes]:
    """Give valid requests in which some bytes are changed, removed, doubled or moved."""
    rng = random.Random(0)
    body = json.dumps({"job": "render"} | {key: RIGHT[key] for key in JOBS["render"]}).encode()
    head = f" HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\norigin: http://{host}\r\n".encode()
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    whole = (b"GET /page/main.js" + head + b"\r\n", b"POST /jobs" + head + kind + body)
    for number in range(count):
        request = bytearray(whole[number % len(whole)])
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            at, length = rng.randrange(len(request)), rng.choice((1, 1, 4, 30))
            part = bytes(request[at : at + length])
            new = (rng.randbytes(length), b"", part * 3, part[::-1], rng.choice((b"\r\n", b"\0", b"%", b":", b"\xff")))
            request[at : at + length] = rng.choice(new)
        yield bytes(request)


def bombs(hours: float) -> Iterator[tuple[str, bytes]]:
    """Give files that are small and unpack to much: ``hours`` of silence, and promises in a header."""
    for kind, codec in (("FLAC", None), ("OGG", "VORBIS"), ("MP3", None)):
        yield f"{kind} {codec or ''}".strip(), silence(kind, codec, 8000, hours)
    yield "FLAC of 8 channels at 192 kHz", silence("FLAC", None, 192_000, hours / 200, channels=8)
    zeros = bytes(int(hours * 4_000_000))
    yield "gzip", gzip.compress(zeros)
    yield "xz", lzma.compress(zeros, preset=0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("song.wav", zeros)
    yield "zip", packed.getvalue()
    for name, n_bytes, rate, channels in (
        ("4 GB promised", 2**32 - 1, 44100, 1),
        ("a rate of 4 GHz", 8000, 2**32 - 1, 1),
        ("65535 channels", 8000, 44100, 65535),
    ):
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, (2 * rate) % 2**32, 2, 16)
        head = struct.pack("<4sI4s", b"RIFF", 2**32 - 1, b"WAVE") + form + struct.pack("<4sI", b"data", n_bytes)
        yield f"WAV, {name}", head + bytes(8000)


def silence(kind: str, codec: str | None, sample_rate: int, hours: float, channels: int = 1) -> bytes:
    """Give a file of silence, written second by second."""
    file = io.BytesIO()
    second = np.zeros((sample_rate, channels), dtype=np.float32)
    with soundfile.SoundFile(file, "w", sample_rate, channels, codec, format=kind) as sound:
        for _ in range(max(1, round(3600 * hours))):
            sound.write(second)
    return file.getvalue()
