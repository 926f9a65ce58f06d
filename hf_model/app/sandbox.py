"""Strangers' files decoded in a process of their own: what a damaged one does to a decoder stays there."""

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
"""Loaded before memory is limited: a decoder that could not load it would give that as the file's fault."""

# A server with threads must not fork; the fork server is a process without any, with the imports already done.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["hf_model.app.sandbox", LIBSNDFILE])


def warm_up() -> None:
    """Start the process from which decoders are forked."""
    process = _processes.Process(target=str)
    process.start()
    process.join()


def decode(source: Path, target: Path, limits: Limits) -> Recording:
    """Decode a file to a voice at 16 kHz, kept in ``target`` (npy, float32).

    Raises
    ------
    PageError
        If it cannot be decoded within the limits: the reason, without a path.
    """
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_work, args=(str(source), str(target), limits, sender), daemon=True)
    process.start()
    sender.close()
    answer: dict[str, Any]
    try:
        answer = json.loads(receiver.recv_bytes()) if receiver.poll(limits.decode_seconds) else {"error": TOO_SLOW}
    except (EOFError, OSError):
        answer = {"error": CRASHED}
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if "error" in answer:
        target.unlink(missing_ok=True)
        raise PageError(answer["error"])
    voice = np.load(target, mmap_mode="r", allow_pickle=False)
    return Recording(voice, answer["n_samples"], answer["sample_rate"], tuple(answer["warnings"]))


def _work(source: str, target: str, limits: Limits, sender: Connection) -> None:
    """Run in the process of its own."""
    importlib.import_module(LIBSNDFILE)  # whoever else uses the fork server may have had it started without
    _bound_memory(limits.decode_bytes)
    sender.send_bytes(json.dumps(attempt(Path(source), Path(target), limits)).encode())


def attempt(source: Path, target: Path, limits: Limits) -> dict[str, object]:
    """Decode, and give what is known of the recording, or the reason why not."""
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


def _bound_memory(n_bytes: int) -> None:
    """Let this process take so much memory more, where the system can tell how much it has (Linux)."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (held + n_bytes, resource.RLIM_INFINITY))
