"""The web server of the page: `hummingface app`."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.app.limits import Limits
from hf_model.app.middleware import ENGINE, AccessMiddleware
from hf_model.app.sandbox import warm_up
from hf_model.app.sessions import Sessions
from hf_model.inference import Models, default_models

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST, PORT = "127.0.0.1", 7860


def serve(
    host: str = HOST,
    port: int = PORT,
    *,
    part_seconds: float = 60.0,
    model: Path | None = None,
    announce: Callable[[str], object] = lambda _address: None,
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
    model : path, optional
        Weights to use instead of the ones that ship.
    announce : callable
        Called with the page's address.

    Raises
    ------
    OSError
        If the address cannot be used.
    """
    _disable_telemetry()
    import uvicorn

    with _bind(host, port) as listening:
        sessions = Sessions(Limits(part_seconds=part_seconds, whole_seconds=max(600.0, part_seconds)))
        try:
            models = Models(model) if model else default_models()
            app = build(sessions, models, only_loopback=_is_loopback(host))
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
            )
            name = f"[{host}]" if ":" in host else host
            announce(f"http://{name}:{listening.getsockname()[1]}")
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            sessions.close()


def build(sessions: Sessions, models: Models, *, only_loopback: bool) -> AccessMiddleware:
    """Build the ASGI application: routes, job queue and access control."""
    _disable_telemetry()
    import gradio
    from fastapi import FastAPI

    from hf_model.app.job_queue import build_queue
    from hf_model.app.routes import add_routes

    app = FastAPI(lifespan=_lifespan(sessions, models), docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app, sessions)
    gradio.mount_gradio_app(
        app,
        build_queue(sessions, models),
        path=ENGINE,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    # The Hub shows a Space in a frame.
    embedded = "https://huggingface.co https://*.hf.space" if os.environ.get("SPACE_ID") else "'none'"
    return AccessMiddleware(app, only_loopback, embedded)


def _disable_telemetry() -> None:
    """Switch off telemetry of Gradio and the Hub's library, which read these variables when imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"


def _lifespan(sessions: Sessions, models: Models) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Warm up and delete idle recordings in the background, while requests are served."""

    async def clean() -> None:
        while True:
            await asyncio.sleep(min(30.0, sessions.limits.idle_seconds / 2))
            await asyncio.to_thread(sessions.delete_idle)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        warming = threading.Thread(target=_warm_up, args=(models, stopping), name="warm-up")
        warming.start()
        cleaning = asyncio.create_task(clean())
        try:
            yield
        finally:
            cleaning.cancel()
            stopping.set()
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
    steps: tuple[Callable[[], object], ...] = (
        warm_up,
        lambda: models.transcriber,
        lambda: transcribe_recording(as_recording(0.1 * tone, 16000), models=models),
        lambda: render([Note(0.0, 0.5, 60.0)], 44100, models=models),
        lambda: trace_pitch(tone, 2.0),
        lambda: importlib.import_module("av"),
        lambda: importlib.import_module("PIL.Image"),
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
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
