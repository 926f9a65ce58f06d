"""The kinds of attack on the page: each sends its requests and notes the answers."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable

from bench.reliability.attack_live import live
from bench.reliability.attack_page import EXAMPLE, ME, VICTIM, AttackedPage, Kind, convert_body, is_closed, status_of
from bench.reliability.attack_panels import panels
from bench.reliability.attack_requests import (
    BROKEN,
    HOSTS,
    MARKUP,
    METHODS,
    ORIGINS,
    PATHS,
    RIGHT,
    bombs,
    job_bodies,
    mutated,
)


def job_types(page: AttackedPage, kind: Kind) -> None:
    """Send bodies of wrong types: refused, or an error of the job; a job without a recording has no result."""
    for body in list(job_bodies())[:: page.scale.every]:
        status, message = page.job(body)
        kind.note(status, {200, 400, 413}, body[:100].decode("latin-1"))
        if "result" in message:
            kind.findings.append(f"{body[:100]!r} has a result")


def paths(page: AttackedPage, kind: Kind) -> None:
    """Ask for paths that do not exist, and with methods that do not."""
    for target in PATHS:
        expected = {200} if target.startswith("/?") else {400, 404, 405}
        kind.note(page.send("GET", target)[0], expected, f"GET {target[:60]}")
    for method in METHODS:
        for target in (
            "/",
            "/jobs",
            "/recordings",
            "/example",
            f"/recordings/{'0' * 32}/piano.wav",
            "/page/main.js",
        ):
            expected = {400, 403, 404, 405, 413} | ({200} if method in {"GET", "HEAD"} else set())
            if not (method == "POST" and target == "/example"):
                kind.note(page.send(method, target)[0], expected, f"{method} {target}")


def ids(page: AttackedPage, kind: Kind) -> None:
    """Guess ids of recordings, near the visitor's and at random."""
    real = page.victim
    flipped = [f"{real[:at]}{int(real[at], 16) ^ 1:x}{real[at + 1 :]}" for at in range(32)]
    odd = [
        real.upper(),
        real[:31],
        real + "0",
        f"%{ord(real[0]):x}{real[2:]}",
        real[::-1],
        f"{real}%00",
        f"./{real}x",
    ]
    for name in [*flipped, *odd, *(secrets.token_hex(16) for _ in range(100))]:
        for file in ("voice.wav", "piano.wav", "upload", "in-use"):
            kind.note(page.send("GET", f"/recordings/{name}/{file}")[0], {404}, f"{name}/{file}")
    for name in flipped[:8]:
        status, message = page.job(convert_body(name))
        kind.note(status, {200}, f"job of {name}")
        if "error" not in message:
            kind.findings.append(f"job of {name}: {message}")
        kind.note(page.send("POST", f"/recordings/{name}/forget")[0], {204}, f"forget {name}")


def origins(page: AttackedPage, kind: Kind) -> None:
    """Post from other sites, as a browser would."""
    targets = ("/recordings", "/example", "/jobs", f"/recordings/{page.victim}/forget")
    for origin in ORIGINS:
        for target in targets:
            for site in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
                headers = {"origin": origin, "content-type": "application/json"} | site
                kind.note(page.send("POST", target, b"{}", headers)[0], {403}, f"{origin} {target}")


def hosts(page: AttackedPage, kind: Kind) -> None:
    """Ask by other names of this machine, as after DNS rebinding."""
    for host in HOSTS:
        for method, target in (("GET", "/"), ("GET", "/health"), ("POST", "/example"), ("POST", "/jobs")):
            kind.note(page.send(method, target, None, {"host": host})[0], {400}, f"{host} {target}")


def markup(page: AttackedPage, kind: Kind) -> None:
    """Send markup where a server might repeat it."""
    quoted = MARKUP.replace("<", "%3C").replace(">", "%3E")
    for target in (
        "/",
        "/health",
        f"/page/{quoted}",
        f"/recordings/{'0' * 32}/{quoted}",
        f"/{quoted}",
        "/page/main.js",
    ):
        for headers in (
            {},
            {"referer": MARKUP},
            {"user-agent": MARKUP},
            {"x-forwarded-for": MARKUP},
            {"cookie": MARKUP},
        ):
            status, content = page.send("GET", f"{target}?v={quoted}", None, headers)
            kind.note(status, {200, 404}, target)
            if MARKUP.encode() in content:
                kind.findings.append(f"{target} repeats markup")
    for name in (MARKUP, '"><img src=x onerror=alert(1)>', "../../x.wav"):
        form = f'--a\r\ncontent-disposition: form-data; name="f"; filename="{name}"\r\n\r\nla\r\n--a--\r\n'.encode()
        status, content = page.send("POST", "/recordings", form, {"content-type": "multipart/form-data; boundary=a"})
        kind.note(status, {200}, name)
        done, message = page.job(convert_body(json.loads(content)["recording"]))
        if done != 200 or "error" not in message or "<" in str(message):
            kind.findings.append(f"{name}: {message}")


def broken(page: AttackedPage, kind: Kind) -> None:
    """Send what is not HTTP."""
    for data in BROKEN:
        kind.note(page.send_raw(data, timeout=15)[0], {200, 400, 404, 413, 431, 503, 505}, repr(data[:60]))


def mutate(page: AttackedPage, kind: Kind) -> None:
    """Send valid requests with some bytes changed: never an error of the server."""
    for data in mutated(page.scale.mutated, f"{ME}:{page.address[1]}"):
        kind.note(page.send_raw(data, timeout=1)[0], range(200, 500), repr(data[:60]))


def score(page: AttackedPage, kind: Kind) -> None:
    """Ask for the score, which takes long to write, again and again; other visitors are served meanwhile."""
    name = page.upload(EXAMPLE.read_bytes())
    page.job(convert_body(name))

    def ask() -> None:
        kind.note(page.send("GET", f"/recordings/{name}/piano.musicxml", timeout=60)[0], {200}, "score")

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    kind.note(page.send("GET", "/health", source=VICTIM, timeout=20)[0] or 500, {200}, "another visitor meanwhile")
    for thread in threads:
        thread.join()
    kind.note(page.send("POST", f"/recordings/{name}/forget")[0], {204}, "forget")


def unpack(page: AttackedPage, kind: Kind) -> None:
    """Upload files that unpack to much, and convert them."""
    for name, content in bombs(page.scale.bomb_hours):
        status, answer = page.send("POST", "/recordings", content)
        kind.note(status, {200, 413}, name)
        if status != 200:
            continue
        status, message = page.job(convert_body(json.loads(answer)["recording"]))
        kind.note(status, {200}, name)
        if "error" not in message:
            kind.findings.append(f"{name}: {str(message)[:100]}")


def large(page: AttackedPage, kind: Kind) -> None:
    """Declare, or send, more than is allowed."""
    for target, size in (
        ("/recordings", 10**12),
        ("/recordings", 65 << 20),
        ("/jobs", 2 << 20),
        ("/example", 2 << 20),
    ):
        headers = {"content-length": str(size), "content-type": "application/json"}
        kind.note(page.send("POST", target, b"", headers)[0], {413}, f"{size} bytes to {target}")
    for target in ("/recordings", "/jobs"):
        head = f"POST {target} HTTP/1.1\r\nhost: {ME}:{page.address[1]}\r\ncontent-type: application/json\r\n"
        with page.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
                for _ in range(80):
                    connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            kind.note(status_of(connection), {413}, f"endless body to {target}")
        with page.connect() as connection:
            connection.sendall(f"{head}content-length: 100000\r\n\r\n".encode() + bytes(5000))
            kind.note(0, (), "a body that ends early")


def slow(page: AttackedPage, kind: Kind) -> None:
    """Send heads and bodies byte by byte, and read nothing: the server closes them all."""
    host = f"host: {ME}:{page.address[1]}\r\n"
    heads = (
        "",
        "GET / HTTP/1.1\r\nx: ",
        f"POST /recordings HTTP/1.1\r\n{host}content-length: 100000\r\n\r\n",
        f"POST /jobs HTTP/1.1\r\n{host}content-type: application/json\r\ncontent-length: 9000\r\n\r\n",
        "POST /example HTTP/1.1\r\nhost: evil\r\ncontent-length: 100000\r\n\r\n",
    )
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(page.connect()) for _ in range(page.scale.slow)]
        for number, connection in enumerate(opened):
            connection.sendall(heads[number % len(heads)].encode())
            connection.settimeout(0)
        alive, began = set(opened), time.monotonic()
        while alive and time.monotonic() - began < page.scale.slow_seconds:
            time.sleep(0.5)
            alive -= {connection for connection in alive if is_closed(connection)}
            if page.send("GET", "/health", source=VICTIM)[0] != 200:
                kind.findings.append("another visitor is not served meanwhile")
        for connection in opened:
            kind.note(200 if connection in alive else 0, (), f"open after {page.scale.slow_seconds:g} s")


def connections(page: AttackedPage, kind: Kind) -> None:
    """Open many connections with half a request; other visitors, and this one, are served meanwhile."""
    with contextlib.ExitStack() as stack:
        for _ in range(page.scale.connections):
            connection = stack.enter_context(page.connect())
            with contextlib.suppress(OSError):
                connection.sendall(b"GET / HTTP/1.1\r\nhost:")
            kind.note(0, (), "")
        time.sleep(0.5)
        for source in (ME, VICTIM):
            began = time.monotonic()
            kind.note(page.send("GET", "/health", source=source)[0] or 500, {200}, f"{source} meanwhile")
            if time.monotonic() - began > 5:
                kind.findings.append(f"{source} waited {time.monotonic() - began:.0f} s")


def many_jobs(page: AttackedPage, kind: Kind) -> None:
    """Ask for many jobs at once, half of them by clients that do not wait for the answer."""
    body = json.dumps({"job": "render"} | {key: RIGHT[key] for key in ("recording", "notes", "settings")}).encode()
    head = f"POST /jobs HTTP/1.1\r\nhost: {ME}:{page.address[1]}\r\ncontent-type: application/json\r\n"
    left = iter(range(page.scale.jobs))
    lock = threading.Lock()

    def ask() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            if number % 2:
                status, message = page.job(body)
                if status == 200 and "error" not in message:
                    kind.findings.append(f"a job of no recording: {message}")
            else:
                status = 0
                with contextlib.suppress(OSError), page.connect() as connection:
                    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            with lock:
                kind.note(status, {200, 503}, "job")

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def places(page: AttackedPage, kind: Kind) -> None:
    """Open recordings again and again: places are left for others."""
    opened = []
    for number in range(page.scale.places):
        status, content = page.send("POST", "/example") if number % 2 else page.send("POST", "/recordings", b"la")
        kind.note(status, {200, 503}, "open")
        opened += [json.loads(content)["recording"]] if status == 200 else []
    status, content = page.send("POST", "/example", source=VICTIM)
    kind.note(status, {200}, "a place for another visitor")
    if status == 200:
        page.send("POST", f"/recordings/{json.loads(content)['recording']}/forget", source=VICTIM)
    for name in opened:
        kind.note(page.send("POST", f"/recordings/{name}/forget")[0], {204}, "forget")


KINDS: dict[str, Callable[[AttackedPage, Kind], None]] = {
    "jobs of wrong types": job_types,
    "paths and methods": paths,
    "other visitors' recordings": ids,
    "posts from other sites": origins,
    "DNS rebinding": hosts,
    "markup": markup,
    "broken HTTP": broken,
    "mutated requests": mutate,
    "the score at once": score,
    "decompression bombs": unpack,
    "oversized and endless bodies": large,
    "slow heads and bodies": slow,
    "connections at once": connections,
    "jobs at once": many_jobs,
    "places of recordings": places,
    "recordings while they arrive": live,
    "scores, words and edits": panels,
}
"""All kinds, by name."""
