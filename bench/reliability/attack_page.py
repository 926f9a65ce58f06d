"""The page under attack: a server, an attacker's requests, a visitor whose recording must stay private and usable."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.page_server import PageServer

EXAMPLE = Path(__file__).parents[2] / "hf_model" / "app" / "page" / "example.flac"
ME, VICTIM = "127.0.0.1", "127.0.0.2"
"""Addresses of the attacker and of the visitor who is attacked (both are this machine)."""


SOON = 15.0
"""Seconds in which a server has cleaned up."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    connections: int = 200
    jobs: int = 1000
    places: int = 200
    mutated: int = 500
    slow: int = 40
    slow_seconds: float = 20.0
    bomb_hours: float = 1.0
    every: int = 1
    """Of the bodies of jobs, every n-th is sent."""


@dataclass
class Kind:
    """What came of one kind of attack."""

    name: str
    n_requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def note(self, status: int, expected: Iterable[int], what: str) -> None:
        """Count an answer; 0 is a closed connection, which is always right."""
        self.n_requests += 1
        self.answers[str(status) if status else "closed"] += 1
        if status and status not in set(expected):
            self.findings.append(f"{what}: {status}")


def convert_body(recording: str) -> bytes:
    """Give the body that asks for a conversion."""
    return json.dumps({"job": "convert", "recording": recording, "start": 0, "settings": {}}).encode()


def sing_body(recording: str, words: str) -> bytes:
    """Give the body that asks for words to be sung."""
    return json.dumps(
        {"job": "sing", "recording": recording, "lyrics": words, "voice": "alto", "language": "en"}
    ).encode()


class AttackedPage:
    """Attacks on one server, with a visitor beside them whose recording must stay private and usable."""

    def __init__(self, server: PageServer, scale: Scale) -> None:
        self.server = server
        self.scale = scale
        host, port = server.address.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.files_before: set[str] = set()
        self.victim = ""
        self.secret = b""
        self.descriptors = 0
        self.memory = 0.0

    def welcome_victim(self) -> None:
        """Convert a recording of the visitor, and one of the attacker, so that everything is loaded."""
        recording = EXAMPLE.read_bytes()
        self.victim = self.upload(recording, VICTIM)
        own = self.upload(recording, ME)
        for name, source in ((self.victim, VICTIM), (own, ME)):
            self.job(convert_body(name), source)
            self.send("GET", f"/recordings/{name}/score.json", source=source)
            self.job(sing_body(name, "la"), source)
        self.send("POST", f"/recordings/{own}/forget")
        self.secret = self.send("GET", f"/recordings/{self.victim}/voice.wav", source=VICTIM)[1][1000:1100]
        self.files_before = self.server.files()
        self.descriptors, self.memory = self.server.descriptors(), self.server.memory_megabytes()

    def after(self) -> list[str]:
        """Give what is wrong after an attack."""
        findings = []
        if self.send("GET", "/health", source=VICTIM)[0] != 200:
            findings.append("the page does not answer")
        if not _soon(lambda: self.server.files() <= self.files_before):
            findings.append(f"left over: {sorted(self.server.files() - self.files_before)[:3]}")
        if not self.files_before <= self.server.files():
            findings.append("files of the visitor are gone")
        if not _soon(lambda: self.server.descriptors() <= self.descriptors + 2):
            findings.append(f"{self.server.descriptors()} open files, {self.descriptors} before")
        if self.server.memory_megabytes() > self.memory + 150:
            findings.append(f"{self.server.memory_megabytes():.0f} MB, {self.memory:.0f} MB before")
        if "Traceback" in self.server.errors.read_text():
            findings.append("a traceback in the log")
            os.truncate(self.server.errors, 0)
        return findings + [f"a connection to another machine: {line}" for line in self.server.outside()]

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        source: str = ME,
        timeout: float = 30.0,
    ) -> tuple[int, bytes]:
        """Send a request as it is; gives status and body, 0 for a connection that is closed."""
        head = {"host": f"127.0.0.1:{self.address[1]}"} | (headers or {})
        if body is not None or method not in {"GET", "HEAD"}:
            head.setdefault("content-length", str(len(body or b"")))
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return self.send_raw(
            f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b""), source, timeout, method
        )

    def send_raw(self, data: bytes, source: str = ME, timeout: float = 30.0, method: str = "GET") -> tuple[int, bytes]:
        """Send bytes; gives status and body."""
        try:
            with self.connect(source, timeout) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(data)
                response = http.client.HTTPResponse(connection, method=method)
                response.begin()
                content = response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        if source == ME and (
            (self.secret and self.secret in content) or (self.victim and self.victim.encode() in content)
        ):
            return 999, content  # a leak
        return response.status, content

    def connect(self, source: str = ME, timeout: float = 30.0) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, timeout, (source, 0))

    def upload(self, recording: bytes, source: str = ME) -> str:
        """Upload a recording, and give its id."""
        return str(json.loads(self.send("POST", "/recordings", recording, source=source)[1])["recording"])

    def job(self, body: bytes, source: str = ME) -> tuple[int, dict[str, object]]:
        """Ask for a job: status and last message."""
        kind = {"content-type": "application/json"}
        status, answer = self.send("POST", "/jobs", body, kind, source, timeout=120)
        lines = answer.split(b"\n")
        last = [line for line in lines if line.strip()][-1:] if status == 200 else []
        return status, json.loads(last[0]) if last else {}


def is_closed(connection: socket.socket) -> bool:
    """Send one byte and look whether the server closed the connection."""
    try:
        connection.send(b"a")
        return connection.recv(10_000) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def status_of(connection: socket.socket) -> int:
    """Read the status of a response; 0 for a closed connection."""
    try:
        response = http.client.HTTPResponse(connection)
        response.begin()
    except (OSError, http.client.HTTPException):
        return 0
    return response.status


def _soon(is_right: Callable[[], bool]) -> bool:
    """Wait until something is right."""
    end = time.monotonic() + SOON
    while not is_right():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
