"""Connections of the page's server: how many, how slow they may be, and which client each one belongs to."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

RESERVED = 64
"""Descriptors that are not connections: files, libraries, pipes to the decoder."""

IDLE_SECONDS = 0.25
"""A connection that has waited so long for a request may be closed for another one."""

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits for the connections of one client, and for all together.

    Attributes
    ----------
    total, per_client : int
        Most connections at once. The address of a trusted proxy has no limit of its own.
    head_seconds : float
        Longest time from the connection, or the last response, to the end of a request's head.
    body_bytes_per_second : float
        Slowest body, after ``body_grace_seconds``.
    body_grace_seconds : float
        Time without a lowest speed; also the longest time for the rest of a body after the response.
    write_seconds : float
        Longest time in which a client reads nothing of a response.
    """

    total: int = 512
    per_client: int = 128
    head_seconds: float = 10.0
    body_bytes_per_second: float = 1024.0
    body_grace_seconds: float = 10.0
    write_seconds: float = 30.0


def raise_descriptor_limit(wanted: int = 2048) -> int:
    """Raise the soft limit of open descriptors, as far as it is allowed; returns the limit."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return wanted
    soft = wanted if hard == unlimited else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def connection_limits(descriptors: int) -> ConnectionLimits:
    """Give the limits that leave enough of the descriptors: a connection may need two, its own and a file's."""
    total = max(16, min(ConnectionLimits.total, (descriptors - RESERVED) // 2))
    return ConnectionLimits(total, min(ConnectionLimits.per_client, total // 2))


def client_of(scope: Mapping[str, Any]) -> str:
    """Name the client of a request: its address, or its network of 64 bits, all of which one client can use."""
    client = scope.get("client")
    return _network(client[0]) if client else ""


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a socket of the file system, or the name that a proxy gives
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


class Connections:
    """All open connections.

    Parameters
    ----------
    limits : ConnectionLimits
    proxies : frozenset of str
        Addresses without a limit of their own; "*" for all.
    """

    def __init__(self, limits: ConnectionLimits, proxies: frozenset[str] = frozenset()) -> None:
        self.limits = limits
        self.proxies = proxies
        self.open: dict[BoundedProtocol, str] = {}

    def admit(self, connection: BoundedProtocol, client: str) -> bool:
        """Add a connection; if there are too many, an idle one of its client, or of the client with most, is closed."""
        is_limited = not self.proxies & {client, "*"}
        if is_limited and len(self._of(client)) >= self.limits.per_client and not _close_idle(self._of(client)):
            return False
        if len(self.open) >= self.limits.total:
            ((busiest, _number),) = Counter(self.open.values()).most_common(1)
            if not _close_idle(self._of(busiest)):
                return False
        self.open[connection] = client
        return True

    def _of(self, client: str) -> list[BoundedProtocol]:
        return [connection for connection, owner in self.open.items() if owner == client]

    def close_overdue(self, now: float) -> None:
        """Close the connections that are too slow; ``now`` is the time on the monotonic clock."""
        for connection in list(self.open):
            if connection.is_overdue(now, self.limits):
                connection.drop()

    async def watch(self) -> None:
        """Close slow connections, until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self.limits.head_seconds / 4))
            self.close_overdue(time.monotonic())


def _close_idle(connections: list[BoundedProtocol]) -> bool:
    """Close the connection that waits longest for a request, if there is one; new ones have a moment for theirs."""
    before = time.monotonic() - IDLE_SECONDS
    idle = [connection for connection in connections if connection.is_idle and connection.since <= before]
    if idle:
        min(idle, key=lambda connection: connection.since).drop()
    return bool(idle)


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with deadlines.

    Attributes
    ----------
    since : float
        When the present part of the request began: its head, its body, or its response.
    received : int
        Bytes of this part.
    stalled : float, optional
        Since when the client reads nothing of the response.
    """

    def __init__(self, connections: Connections, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.all = connections
        self.part: object = None
        self.since = time.monotonic()
        self.received = 0
        self.stalled: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request has arrived completely, and none is answered."""
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE

    def is_overdue(self, now: float, limits: ConnectionLimits) -> bool:
        """Whether the client is too slow."""
        elapsed = now - self.since
        if self.stalled is not None and now - self.stalled > limits.write_seconds:
            return True
        if self.is_idle:
            return elapsed > limits.head_seconds
        late = elapsed - limits.body_grace_seconds
        if self.conn.their_state is not h11.SEND_BODY or late <= 0:
            return False
        is_answered = self.cycle.response_complete
        return is_answered or self.received < limits.body_bytes_per_second * late

    def drop(self) -> None:
        """Close without another word."""
        self.all.open.pop(self, None)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        super().connection_made(transport)
        self._next_part()
        if not self.all.admit(self, _network(self.client[0]) if self.client else ""):
            transport.write(REFUSED)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.all.open.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.transport.is_closing():
            return
        self.received += len(data)
        super().data_received(data)
        self._next_part()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._next_part()

    def pause_writing(self) -> None:
        """Note that the client reads too slowly."""
        self.stalled = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self.stalled = None
        super().resume_writing()

    def _next_part(self) -> None:
        part = (self.conn.their_state, self.cycle)
        if part != self.part:
            self.part, self.since, self.received = part, time.monotonic(), 0


def bounded_protocol(connections: Connections) -> Any:
    """Give the protocol for ``uvicorn.Config``."""
    return functools.partial(BoundedProtocol, connections)
