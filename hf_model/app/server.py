"""The web server of the page: `hummingface app`."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model.app.limits import Limits
from hf_model.app.middleware import AccessMiddleware
from hf_model.app.sandbox import warm_up
from hf_model.app.sessions import Sessions
from hf_model.inference import Models, default_models

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST, PORT = "127.0.0.1", 7860

TOKEN = re.compile(r"[\w.~-]{8,128}", re.ASCII)
"""What a token may be."""


class TokenError(ValueError):
    """Why a token is refused."""


Background = Callable[[], Coroutine[Any, Any, None]]


def serve(
    host: str = HOST,
    port: int = PORT,
    *,
    part_seconds: float = 300.0,
    model: Path | str | None = None,
    token: str = "",
    announce: Callable[[str], object] = lambda _address: None,
    warn: Callable[[str], object] = lambda _remark: None,
) -> None:
    """Serve the page until the process is interrupted.

    Parameters
    ----------
    host : str
        Address to bind; any but loopback is open to other machines.
    port : int
        0 for any free port.
    part_seconds : float
        Longest part of a recording that is converted at once.
    model : path or str, optional
        Weights to use instead of the ones that ship.
    token : str
        What the address must contain to open the page, as ``TOKEN``; "auto" for a random one, "" for none.
    announce : callable
        Called with the page's address.
    warn : callable
        Called with what is open to whom, if other machines can open the page.

    Raises
    ------
    OSError
        If the address cannot be used.
    TokenError
        If the token is too short, or has other characters.
    """
    import uvicorn

    from hf_model.app.connections import Connections, bounded_protocol, connection_limits, raise_descriptor_limit

    token = secrets.token_urlsafe(24) if token == "auto" else token
    if token and not TOKEN.fullmatch(token):
        msg = "a token has 8 to 128 letters, digits or any of - . _ ~"
        raise TokenError(msg)
    # An address in a header is believed only from proxies that the operator names, as uvicorn does.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "*" if "SPACE_ID" in os.environ else "")
    with _bind(host, port) as listening:
        sessions = Sessions(Limits(part_seconds=part_seconds, whole_seconds=max(600.0, part_seconds)))
        try:
            models = Models(model) if model else default_models()
            trusted = frozenset(filter(None, proxies.replace(" ", "").split(",")))
            connections = Connections(connection_limits(raise_descriptor_limit()), trusted)
            app = build(sessions, models, connections.watch, only_loopback=_is_loopback(host), token=token)
            config = uvicorn.Config(
                app,
                http=bounded_protocol(connections),
                ws="none",
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                log_level="error",  # a warning for every request that is not HTTP would let anyone fill the log
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
            address = _address(host, listening.getsockname()[1], token)
            announce(address)
            if not _is_loopback(host):
                warn(_describe_exposure(host, token))
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            sessions.close()


def build(
    sessions: Sessions, models: Models, *background: Background, only_loopback: bool, token: str = ""
) -> AccessMiddleware:
    """Build the ASGI application: routes, job queue and access control; ``background`` runs meanwhile."""
    from starlette.applications import Starlette

    from hf_model.app.job_queue import JobQueue, OneByOne
    from hf_model.app.job_routes import add_job_route
    from hf_model.app.live.recordings import LiveRecordings
    from hf_model.app.live.routes import add_live_routes
    from hf_model.app.panels.routes import add_panel_routes
    from hf_model.app.routes import add_routes

    queue, writing = JobQueue(sessions.limits), OneByOne(sessions.limits)
    live = LiveRecordings(sessions, models)
    app = Starlette(lifespan=_lifespan(sessions, models, queue.run, live.run, *background))
    add_live_routes(app, live)
    add_panel_routes(app, sessions, writing)
    add_routes(app, sessions, writing)
    add_job_route(app, queue, sessions, models)
    # The Hub shows a Space in a frame.
    embedded = "https://huggingface.co https://*.hf.space" if os.environ.get("SPACE_ID") else "'none'"
    return AccessMiddleware(app, only_loopback, embedded, token)


def _address(host: str, port: int, token: str) -> str:
    """Give an address that a browser on this machine can open."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}" + (f"/?token={token}" if token else "")


def _describe_exposure(host: str, token: str) -> str:
    """Say who can open the page, and what that means."""
    where = f"all addresses of this machine ({socket.gethostname()})" if host in {"0.0.0.0", "::"} else host
    who = "all who can reach it and have the token" if token else "all who can reach it (--token auto limits that)"
    return (
        f"the page is open at {where} to {who}. "
        "The connection is not encrypted: others on the network can read along"
        + (", the token too. " if token else ". ")
        + "Browsers give the microphone to other machines over https only: a proxy with a certificate provides that"
    )


def _lifespan(
    sessions: Sessions, models: Models, *background: Background
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Warm up, delete idle recordings and run the background while requests are served."""

    async def clean() -> None:
        while True:
            await asyncio.sleep(min(30.0, sessions.limits.idle_seconds / 2))
            await asyncio.to_thread(sessions.delete_idle)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        stopping = threading.Event()
        warming = threading.Thread(target=_warm_up, args=(models, stopping), name="warm-up")
        warming.start()
        tasks = [asyncio.create_task(run()) for run in (clean, *background)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            stopping.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            # A thread inside native code while the interpreter shuts down aborts the process.
            await asyncio.to_thread(warming.join)

    return lifespan


def _warm_up(models: Models, stopping: threading.Event) -> None:
    """Do once what is slow the first time, step by step until ``stopping`` is set."""
    import numpy as np

    from hf_model.app.spectrogram import trace_pitch
    from hf_model.audio.recording import as_recording
    from hf_model.inference import render, transcribe_recording
    from hf_model.notes.note import Note

    tone = np.sin(1400 * np.arange(32000) / 16000).astype(np.float32)
    sung = as_recording(0.1 * tone, 16000)
    steps: tuple[Callable[[], object], ...] = (
        warm_up,
        lambda: models.transcriber,
        lambda: transcribe_recording(sung, source="voice", models=models),
        lambda: render([Note(0.0, 0.5, 60.0)], 44100, models=models),
        lambda: trace_pitch(tone, 2.0),
        lambda: importlib.import_module("av"),
        lambda: importlib.import_module("PIL.Image"),
        lambda: transcribe_recording(sung, models=models),
        lambda: transcribe_recording(sung, source="song", models=models),
    )
    for step in steps:
        if stopping.is_set():
            return
        with suppress(OSError, ImportError):  # reported to the user who needs it
            step()


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _bind(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows it would let two servers listen at one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
