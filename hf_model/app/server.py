"""The page in the browser: `hummingface app`."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.app.limits import Limits
from hf_model.app.middleware import ENGINE, Door
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
    """Serve the page until the process is told to end.

    Parameters
    ----------
    host : str
        Address to listen at; anything but loopback lets other machines in.
    port : int
        0 is any free one.
    part_seconds : float
        Longest part of a recording that is converted at a time.
    model : path, optional
        Weights to use instead of the ones that ship.
    announce : callable
        Told the page's address when it can be called.

    Raises
    ------
    OSError
        If the address cannot be used.
    """
    _keep_gradio_quiet()
    import uvicorn

    listening = _listen_at(host, port)
    sessions = Sessions(Limits(part_seconds=part_seconds, whole_seconds=max(600.0, part_seconds)))
    try:
        models = Models(model) if model else default_models()
        door = build(sessions, models, only_loopback=_is_loopback(host))
        config = uvicorn.Config(
            door, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
        )
        name = f"[{host}]" if ":" in host else host
        announce(f"http://{name}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        sessions.close()


def build(sessions: Sessions, models: Models, *, only_loopback: bool) -> Door:
    """Build the server: its addresses, the line of jobs, and the door before them."""
    _keep_gradio_quiet()
    import gradio
    from fastapi import FastAPI

    from hf_model.app.job_queue import build_line
    from hf_model.app.routes import add_addresses

    app = FastAPI(lifespan=_beside(sessions, models), docs_url=None, redoc_url=None, openapi_url=None)
    add_addresses(app, sessions)
    gradio.mount_gradio_app(
        app,
        build_line(sessions, models),
        path=ENGINE,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    # A Hugging Face Space is shown in a frame of the hub.
    embedded = "https://huggingface.co https://*.hf.space" if os.environ.get("SPACE_ID") else "'none'"
    return Door(app, only_loopback, embedded)


def _keep_gradio_quiet() -> None:
    """Keep Gradio and the hub's library from calling home: read when they are imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"


def _beside(sessions: Sessions, models: Models) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Load the models and delete what was left behind, while requests are served."""

    async def clean() -> None:
        while True:
            await asyncio.sleep(min(30.0, sessions.limits.idle_seconds / 2))
            await asyncio.to_thread(sessions.forget_idle)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_warm_up, args=(models,), daemon=True).start()
        cleaning = asyncio.create_task(clean())
        yield
        cleaning.cancel()

    return lifespan


def _warm_up(models: Models) -> None:
    """Do once what is slow the first time."""
    import numpy as np

    from hf_model.app.spectrogram import trace_pitch
    from hf_model.audio.recording import as_recording
    from hf_model.inference import hear, render
    from hf_model.notes.note import Note

    warm_up()
    with suppress(OSError):  # a model that is missing is told to the visitor who needs it
        tone = np.sin(1400 * np.arange(32000) / 16000).astype(np.float32)
        hear(as_recording(0.1 * tone, 16000), models=models)
        render([Note(0.0, 0.5, 60.0)], 44100, models=models)
        trace_pitch(tone, 2.0)
    with suppress(ImportError):
        import av  # noqa: F401
        from PIL import Image  # noqa: F401


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _listen_at(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
