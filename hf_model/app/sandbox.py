"""A separate process with bounded time and memory decodes uploads and writes scores: a crash stays there."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.app.limits import Limits, PageError
from hf_model.audio.grid import seconds_to_samples
from hf_model.audio.part import Part
from hf_model.audio.reader import AudioError, AudioReader
from hf_model.audio.recording import Recording, read_recording

TOO_SLOW = "This file takes too long to decode. Is it really a recording?"
CRASHED = "This file cannot be decoded. Is it really a recording?"

LIBSNDFILE = "soundfile"
"""Loaded before memory is limited: otherwise a failure to load it would be reported as a damaged file."""

ENGRAVERS = ("music21", "verovio")
"""Take a second to load. What is not installed is left out."""

# A process with threads must not fork; the fork server has none, and the imports are already done in it. Where there is
# no fork, each process starts anew.
_processes: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
if hasattr(os, "fork"):
    _processes.set_forkserver_preload(["hf_model.app.sandbox", LIBSNDFILE, *ENGRAVERS])


def warm_up() -> None:
    """Start the fork server, if there is one."""
    process = _processes.Process(target=str)
    process.start()
    process.join()


def decode(source: Path, target: Path, limits: Limits) -> Recording:
    """Decode a file to mono at 16 kHz, stored in ``target`` (npy, float32).

    Raises
    ------
    PageError
        If it cannot be decoded within the limits: the reason, without a path.
    """
    result = run_task(attempt, source, target, limits)
    voice = np.load(target, mmap_mode="r", allow_pickle=False)
    return Recording(voice, result["n_samples"], result["sample_rate"], tuple(result["warnings"]))


def decode_part(source: Path, target: Path, limits: Limits, start: float, end: float) -> NDArray[np.int16]:
    """Decode a part of a file, from ``start`` to ``end`` in seconds, to stereo at 44.1 kHz, stored in ``target``.

    Returns
    -------
    ndarray, shape (sample, 2)
        16 bits, mapped from the file.

    Raises
    ------
    PageError
        As for :func:`decode`.
    """
    run_task(attempt_part, source, target, limits, start, end)
    return np.memmap(target, np.int16, mode="r").reshape(-1, 2)


def run_task(
    task: Callable[..., dict[str, object]],
    source: Path,
    target: Path,
    limits: Limits,
    *more: Any,
    seconds: float | None = None,
    slow: str = TOO_SLOW,
    crashed: str = CRASHED,
) -> Any:
    """Run a task in a separate process and give its result, plain values.

    Parameters
    ----------
    task : callable
        Of a module: the process imports it. Called with ``source``, ``target``, ``limits`` and ``more``.
    source, target : path
        What is read and written; the second is removed if the task fails.
    limits : Limits
    *more : Any
        Values that can be pickled.
    seconds : float, optional
        Longest time; by default that of decoding.
    slow, crashed : str
        For the user: that the task takes too long, and that it ended without a result.

    Raises
    ------
    PageError
        If it takes too much time or memory, or its result has an "error".
    """
    receiver, sender = _processes.Pipe(duplex=False)
    arguments = (task, str(source), str(target), limits, more, sender)
    process = _processes.Process(target=_run_and_send, args=arguments, daemon=True)
    process.start()
    sender.close()
    result: dict[str, Any]
    try:
        wait = limits.decode_seconds if seconds is None else seconds
        result = json.loads(receiver.recv_bytes()) if receiver.poll(wait) else {"error": slow}
    except (EOFError, OSError):
        result = {"error": crashed}
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if "error" in result:
        target.unlink(missing_ok=True)
        raise PageError(result["error"])
    return result


def _run_and_send(
    task: Callable[..., dict[str, object]],
    source: str,
    target: str,
    limits: Limits,
    more: tuple[Any, ...],
    sender: Connection,
) -> None:
    """Run in the separate process."""
    importlib.import_module(LIBSNDFILE)  # the fork server may have been started without it
    _limit_memory(limits.decode_bytes)
    sender.send_bytes(json.dumps(task(Path(source), Path(target), limits, *more)).encode())


def attempt(source: Path, target: Path, limits: Limits) -> dict[str, object]:
    """Decode, and give the fields of the recording, or the error."""
    with _reported(source) as result:
        recording = read_recording(source, limits.whole_seconds)
        np.save(target, recording.voice)
        result |= {"n_samples": recording.n_samples, "sample_rate": recording.sample_rate}
        result["warnings"] = recording.warnings
    return result


def attempt_part(source: Path, target: Path, _limits: Limits, start: float, end: float) -> dict[str, object]:
    """Decode a part, block by block, and give nothing, or the error."""
    with _reported(source) as result, target.open("wb") as file:
        reader = AudioReader(source)
        n_samples = seconds_to_samples(end - start, reader.sample_rate)
        blocks = Part(start, end).cut(reader, reader.sample_rate)
        part = Recording(np.zeros(0, dtype=np.float32), n_samples, reader.sample_rate, reopen=lambda: blocks)
        for block in part.stereo_blocks():
            file.write(np.round(32767 * np.clip(block.T, -1, 1)).astype(np.int16).tobytes())
    return result


@contextmanager
def _reported(source: Path) -> Iterator[dict[str, object]]:
    """Give a result to fill in; an exception is reported in it, without a path."""
    result: dict[str, object] = {}
    try:
        yield result
    except AudioError as error:
        result["error"] = f"This file cannot be used: {str(error).removeprefix(f'{source}: ')}."
    except MemoryError:
        result["error"] = "This file needs too much memory to decode. Is it really a recording?"
    except OSError:
        result["error"] = "The server has no room for this recording."


def _limit_memory(n_bytes: int) -> None:
    """Limit the memory that this process may add to its own (Linux only)."""
    if sys.platform == "linux":
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
        held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (held + n_bytes, resource.RLIM_INFINITY))
