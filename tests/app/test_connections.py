"""Connections: deadlines for heads, bodies and reading, and how many a client may have."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uvicorn

from hf_model.app.connections import (
    ConnectionLimits,
    Connections,
    bounded_protocol,
    client_of,
    connection_limits,
    raise_descriptor_limit,
)

QUICK = ConnectionLimits(
    total=8, per_client=4, head_seconds=0.4, body_bytes_per_second=2000, body_grace_seconds=0.4, write_seconds=0.4
)
PATIENT = replace(QUICK, head_seconds=60, body_grace_seconds=60, write_seconds=60)
GET = b"GET /{} HTTP/1.1\r\nhost: a\r\n\r\n"


def answer(connection: socket.socket) -> bytes:
    """Read a whole response."""
    received = b""
    while not received.endswith(b"0\r\n\r\n") and (more := connection.recv(1000)):
        received += more
    return received


class Server:
    """A server with small limits. Its paths: /read answers the length of the body, /wait only when it is closed,
    /large a large response, others at once without reading the body."""

    def __init__(self, limits: ConnectionLimits, proxies: frozenset[str] = frozenset()) -> None:
        self.connections = Connections(limits, proxies)
        self.lost: list[str] = []
        self.opened: list[socket.socket] = []
        self.release = threading.Event()
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        config = uvicorn.Config(
            self.app,
            http=bounded_protocol(self.connections),
            interface="asgi3",
            log_level="critical",
            timeout_keep_alive=60,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]})
        self.thread.start()

    async def app(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            watching = asyncio.create_task(self.connections.watch())
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            watching.cancel()
            await send({"type": "lifespan.shutdown.complete"})
            return
        text = b"hello"
        if scope["path"] == "/read":
            length, more = 0, True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.lost.append("body")
                    return
                length, more = length + len(message["body"]), message["more_body"]
            text = str(length).encode()
        if scope["path"] == "/wait":
            await asyncio.to_thread(self.release.wait, 20)
        if scope["path"] == "/large":
            text = bytes(50_000_000)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})

    def connect(self, data: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=10, source_address=(source, 0))
        self.opened.append(connection)
        connection.sendall(data)
        return connection

    def ask(self, path: str = "", source: str = "127.0.0.1") -> bytes:
        """Give the response, or nothing if the connection is refused."""
        try:
            with self.connect(GET.replace(b"{}", path.encode()), source) as connection:
                return answer(connection)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self.release.set()
        for connection in self.opened:
            connection.close()
        self.server.should_exit = True
        self.thread.join(20)


@contextlib.contextmanager
def serving(limits: ConnectionLimits, proxies: frozenset[str] = frozenset()) -> Iterator[Server]:
    server = Server(limits, proxies)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def quick() -> Iterator[Server]:
    with serving(QUICK) as server:
        yield server


def seconds_until_closed(connection: socket.socket, drip: bytes = b"", every: float = 0.05) -> float:
    """Send byte after byte until the server closes the connection."""
    began = time.monotonic()
    connection.settimeout(every)
    drops = iter(drip * 1000)
    with connection, contextlib.suppress(ConnectionError):
        while time.monotonic() - began < 8:
            with contextlib.suppress(TimeoutError):
                if not connection.recv(100_000):
                    break
            if drip:
                connection.sendall(bytes([next(drops)]))
    return time.monotonic() - began


HEAD = b"POST /{} HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n"
FIRST = GET.replace(b"{}", b"")


@pytest.mark.parametrize(
    ("start", "drip"),
    [(b"", b""), (b"GET / HT", b""), (b"GET / HTTP/1.1\r\nx: ", b"a"), (FIRST, b""), (FIRST + b"GET /", b"a")],
    ids=["silent", "half a head", "slow head", "silent after a response", "slow second head"],
)
def test_a_head_has_a_deadline(quick: Server, start: bytes, drip: bytes) -> None:
    assert QUICK.head_seconds <= seconds_until_closed(quick.connect(start), drip) < 3


def test_a_body_has_a_lowest_speed(quick: Server) -> None:
    quick.lost.clear()
    assert seconds_until_closed(quick.connect(HEAD.replace(b"{}", b"read")), b"a") < 3
    for _ in range(40):
        if quick.lost:
            break
        time.sleep(0.05)
    assert quick.lost == ["body"], "the application is told"


def test_a_body_after_the_response_has_a_deadline(quick: Server) -> None:
    assert seconds_until_closed(quick.connect(HEAD.replace(b"{}", b"")), b"a") < 3


def test_a_response_must_be_read(quick: Server) -> None:
    connection = quick.connect(GET.replace(b"{}", b"large"))
    for _ in range(60):
        time.sleep(0.05)
        if not quick.connections.open:
            break
    connection.close()
    assert not quick.connections.open


def test_quick_and_patient_clients_are_served(quick: Server) -> None:
    with quick.connect(HEAD.replace(b"{}", b"read")) as connection:
        for _ in range(100):  # a second, far above the lowest speed
            connection.sendall(bytes(1000))
            time.sleep(0.01)
        assert b"100000" in answer(connection)
        for _ in range(3):
            time.sleep(0.1)
            connection.sendall(FIRST)
            assert b"hello" in answer(connection)
    with quick.connect(GET.replace(b"{}", b"wait")) as connection:
        time.sleep(1)  # the server may take its time
        quick.release.set()
        assert b"hello" in answer(connection)


def test_new_connections_replace_idle_ones_of_the_same_client() -> None:
    with serving(PATIENT) as server:
        other = server.connect(b"GET /", "127.0.0.2")
        for _ in range(10):
            server.connect(b"GET /")
            time.sleep(0.06)
        time.sleep(0.3)
        assert b"hello" in server.ask()
        assert len(server.connections.open) <= PATIENT.per_client + 1
        other.sendall(b" HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"hello" in answer(other), "that of another client stays"


def test_one_client_leaves_connections_for_others() -> None:
    with serving(PATIENT) as server:
        busy = [server.connect(GET.replace(b"{}", b"wait")) for _ in range(PATIENT.per_client)]
        time.sleep(0.3)
        for _ in range(20):
            assert b"hello" not in server.ask()
        assert b"hello" in server.ask(source="127.0.0.2")
        assert len(server.connections.open) <= PATIENT.per_client + 1
        server.release.set()
        assert all(b"hello" in answer(connection) for connection in busy)


def test_the_total_is_limited_too() -> None:
    with serving(PATIENT) as server:
        for number in range(2, 30):
            server.connect(GET.replace(b"{}", b"wait"), f"127.0.0.{number}")
        time.sleep(0.3)
        assert len(server.connections.open) == PATIENT.total


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    with serving(PATIENT, frozenset({"127.0.0.1"})) as server:
        busy = [server.connect(GET.replace(b"{}", b"wait")) for _ in range(PATIENT.per_client + 2)]
        time.sleep(0.3)
        assert b"hello" in server.ask()
        server.release.set()
        assert all(b"hello" in answer(connection) for connection in busy)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of({"client": (address, 1)}) == client


def test_a_connection_without_an_address_is_one_client() -> None:
    assert client_of({"client": None}) == client_of({}) == ""


@pytest.mark.parametrize(("descriptors", "total", "per_client"), [(256, 96, 48), (2048, 512, 128), (64, 16, 8)])
def test_connections_leave_descriptors_for_files(descriptors: int, total: int, per_client: int) -> None:
    limits = connection_limits(descriptors)
    assert (limits.total, limits.per_client) == (total, per_client)


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    current = [256, 1024]
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: tuple(current))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: current.__setitem__(slice(None), limits))
    assert (raise_descriptor_limit(2048), current) == (1024, [1024, 1024])
    assert (raise_descriptor_limit(512), current) == (512, [1024, 1024])
    current[:] = 256, resource.RLIM_INFINITY
    assert (raise_descriptor_limit(2048), current) == (2048, [2048, resource.RLIM_INFINITY])
