"""Uploads are decoded in a separate process with bounded time and memory: a crash of the decoder stays there."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from hf_model.app.limits import Limits, PageError
from hf_model.audio.reader import AudioError
from hf_model.audio.recording import Recording, read_recording

TOO_SLOW = "This file takes too long to decode. Is it really a recording?"
CRASHED = "This file cannot be decoded. Is it really a recording?"

LIBSNDFILE = "soundfile"
"""Loaded before memory is limited: otherwise a failure to load it would be reported as a damaged file."""

# A process with threads must not fork; the fork server has none, and the imports are already done in it.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["hf_model.app.sandbox", LIBSNDFILE])


def warm_up() -> None:
    """Start the fork server."""
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
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_decode_and_send, args=(str(source), str(target), limits, sender), daemon=True)
    process.start()
    sender.close()
    result: dict[str, Any]
    try:
        result = json.loads(receiver.recv_bytes()) if receiver.poll(limits.decode_seconds) else {"error": TOO_SLOW}
    except (EOFError, OSError):
        result = {"error": CRASHED}
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if "error" in result:
        target.unlink(missing_ok=True)
        raise PageError(result["error"])
    voice = np.load(target, mmap_mode="r", allow_pickle=False)
    return Recording(voice, result["n_samples"], result["sample_rate"], tuple(result["warnings"]))


def _decode_and_send(source: str, target: str, limits: Limits, sender: Connection) -> None:
    """Run in the separate process."""
    importlib.import_module(LIBSNDFILE)  # the fork server may have been started without it
    _limit_memory(limits.decode_bytes)
    sender.send_bytes(json.dumps(attempt(Path(source), Path(target), limits)).encode())


def attempt(source: Path, target: Path, limits: Limits) -> dict[str, object]:
    """Decode, and give the fields of the recording, or the error."""
    try:
        recording = read_recording(source, limits.whole_seconds)
        np.save(target, recording.voice)
    except AudioError as error:
        return {"error": f"This file cannot be used: {str(error).removeprefix(f'{source}: ')}."}
    except MemoryError:
        return {"error": "This file needs too much memory to decode. Is it really a recording?"}
    except OSError:
        return {"error": "The server has no room for this recording."}
    return {"n_samples": recording.n_samples, "sample_rate": recording.sample_rate, "warnings": recording.warnings}


def _limit_memory(n_bytes: int) -> None:
    """Limit the memory that this process may add to its own (Linux only)."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (held + n_bytes, resource.RLIM_INFINITY))
