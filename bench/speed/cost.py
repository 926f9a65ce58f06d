"""Measure what transcribing costs: speed compared with peers and as a stream, and memory for ten minutes.

All transcribe the same synthetic singing in one process on two cores, in turn, after a first round that is not counted;
``make peers`` adds basic-pitch. Writes cost.json and cost.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hf_model
from bench.speed.processor import describe_processor
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, write_audio
from hf_model.audio.recording import read_recording
from hf_model.evaluation.baselines import installed, load_basic_pitch
from hf_model.evaluation.report import markdown_table
from hf_model.inference import Models, transcribe_recording
from hf_model.music.arrangement import MIN_NOTE
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.transcriber.transcriber import Transcriber

RATE = VOICE_STFT.sample_rate
CORES = 2
FASTER, AIM = 1.5, 3.0
MAX_MB = 600.0
"""Targets: speed relative to the faster peer, memory for ten minutes."""

OURS = "HummingFace"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--model", help="a transcriber's folder, instead of the weights that ship")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--minutes", type=int, default=3, help="of singing")
    parser.add_argument("--out", type=Path, default=Path("reports/transcriber"), help="folder of cost.json and cost.md")


def run(options: argparse.Namespace) -> None:
    """Measure, write the figures, print the table."""
    models = Models(options.model)
    if hasattr(os, "sched_setaffinity"):  # before the peers count the cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        path, long = Path(folder) / "singing.wav", Path(folder) / "long.wav"
        voice = singing(options.minutes)
        write_audio(path, voice, RATE)
        write_audio(long, np.resize(voice, 600 * RATE), RATE)
        figures: dict[str, Any] = {"cores": CORES, "minutes": options.minutes, "repeats": options.repeats}
        figures["load_before"] = round(os.getloadavg()[0], 1)
        figures["processor"] = describe_processor()
        figures["speed"] = measure_speed(contenders(path, models), options.minutes * 60, options.repeats)
        figures["ratio"] = ratios(figures["speed"])
        figures["stream"] = measure_stream(voice, models)
        figures["memory_mb"] = {
            name: peak_memory(argument, options.model)
            for name, argument in (("imports", ""), (f"{options.minutes} minutes", path), ("10 minutes", long))
        }
        figures["weights_mb"] = round(parameters_mb(models), 2)
    for row in figures["speed"].values():
        del row["seconds"]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cost.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = markdown(figures)
    (options.out / "cost.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


def singing(minutes: int, sample_rate: int = RATE) -> NDArray[np.float32]:
    """Synthesize composed phrases, another one each minute: (sample,)."""
    config = SingerConfig(sample_rate)
    songs = [np.resize(sing(compose(seed, 60.0), seed, config).audio, 60 * sample_rate) for seed in range(minutes)]
    return np.concatenate(songs)


# -------------------------------------------------------------------------------------------------------------- speed


def contenders(path: Path, models: Models) -> dict[str, Callable[[], list[Any]]]:
    """Give the calls that are timed: from a file to notes, and from samples in memory to notes."""
    voice = read_recording(path).voice
    found: dict[str, Callable[[], list[Any]]] = {
        OURS: lambda: transcribe_recording(read_recording(path), min_note=MIN_NOTE, models=models).notes,
        f"{OURS}, samples to notes": lambda: models.transcriber.transcribe(voice),
    }
    if installed(["swift_f0"]):
        import swift_f0

        def from_file(detector: Any) -> list[Any]:
            audio, rate = read_audio(path)
            return list(swift_f0.segment_notes(detector.detect(audio[0], rate)))

        def from_samples(detector: Any) -> list[Any]:
            return list(swift_f0.segment_notes(detector.detect(voice, RATE)))

        for threads in (1, CORES):
            name = f"swift-f0, {threads} thread{'s' if threads > 1 else ''}"
            detector = swift_f0.SwiftF0(threads=threads)
            found[name] = partial(from_file, detector)
            found[f"{name}, samples to notes"] = partial(from_samples, detector)
    else:
        print("swift-f0 is not installed (pip install 'hummingface[peers]'): left out")
    if installed(["basic_pitch"]):
        found["basic-pitch"] = partial(load_basic_pitch(), path)
    else:
        print("basic-pitch is not installed (make peers): left out")
    return found


def measure_speed(
    named: Mapping[str, Callable[[], list[Any]]], seconds: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """Time all of them in turn; the first round is not counted."""
    rows: dict[str, dict[str, Any]] = {name: {"seconds": [], "cpu": []} for name in named}
    for i in range(repeats + 1):
        for name, call in named.items():
            begun, spent = time.perf_counter(), time.process_time()
            n_notes = len(call())
            if i:
                rows[name]["seconds"].append(time.perf_counter() - begun)
                rows[name]["cpu"].append(time.process_time() - spent)
            rows[name]["notes"] = n_notes
        print(f"round {i} of {repeats}", flush=True)
    for row in rows.values():
        speeds = [seconds / taken for taken in row["seconds"]]
        row["times_real_time"] = round(statistics.median(speeds), 1)
        row["slowest"], row["fastest"] = round(min(speeds), 1), round(max(speeds), 1)
        row["seconds_a_cpu_second"] = round(seconds / statistics.median(row.pop("cpu")), 1)
    return rows


def ratios(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Compare with the faster peer round by round, since the load of the machine changes between rounds."""
    found = {}
    for kind in ("", ", samples to notes"):
        peers = [name for name in rows if name.endswith(kind) and not name.startswith(OURS)]
        if not kind:
            peers = [name for name in peers if not name.endswith("to notes")]
        if peers:
            fastest = max(peers, key=lambda name: rows[name]["times_real_time"])
            pairs = zip(rows[fastest]["seconds"], rows[OURS + kind]["seconds"], strict=True)
            each = [theirs / ours for theirs, ours in pairs]
            found[f"{OURS}{kind} against {fastest}"] = {
                "median": round(statistics.median(each), 2),
                "least": round(min(each), 2),
                "most": round(max(each), 2),
            }
    return found


# ------------------------------------------------------------------------------------------------------------- stream


def measure_stream(voice: NDArray[np.float32], models: Models) -> dict[str, Any]:
    """Push blocks of 20 ms with two sizes of chunks; compare the notes with those of the whole."""
    model = _network(models)
    whole = model.transcribe(voice)
    rows: dict[str, Any] = {}
    for name, chunk_seconds in (("as it comes", None), ("chunks of 1 s", 1.0)):
        stream, notes, longest = model.stream(chunk_seconds=chunk_seconds), list[Note](), 0.0
        begun = time.perf_counter()
        for at in range(0, voice.size, RATE // 50):
            start = time.perf_counter()
            notes += stream.push(voice[at : at + RATE // 50])
            longest = max(longest, time.perf_counter() - start)
        notes += stream.finish()
        rows[name] = {
            "times_real_time": round(voice.size / RATE / (time.perf_counter() - begun), 1),
            "longest_push_ms": round(1000 * longest, 1),
            "latency_s": round(stream.latency, 1),
            "identical": notes == whole,
            "agree": agreement(whole, notes),
        }
    return rows


def agreement(reference: list[Note], estimate: list[Note]) -> float:
    """Share of the notes of both that are in both: onset and offset within 1 ms, pitch within 2 cents."""

    def same(one: Note, other: Note) -> bool:
        times = max(abs(one.onset - other.onset), abs(one.offset - other.offset))
        return times < 1e-3 and abs(one.pitch - other.pitch) < 0.02

    pairs = sum(any(same(one, other) for other in estimate) for one in reference)
    return round(2 * pairs / max(1, len(reference) + len(estimate)), 4)


# ------------------------------------------------------------------------------------------------------------- memory

TRANSCRIBE = """
import re, sys
from pathlib import Path
from hf_model.inference import Models, transcribe_recording
from hf_model.audio.recording import read_recording
import hf_model.transcriber.transcriber
path, model = sys.argv[1:]
if path:
    transcribe_recording(read_recording(path), models=Models(model or None))
# Not ru_maxrss: a process inherits that from its parent.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
"""
"""Program that transcribes a file, imports only what that needs, and prints its peak memory in kB."""


def peak_memory(path: Path | str, model: str | None) -> float:
    """Peak memory in MB of a process that transcribes a file, or without a file only imports what is needed."""
    command = [sys.executable, "-c", TRANSCRIBE, str(path), model or ""]
    environment = {**os.environ, "OMP_NUM_THREADS": str(CORES)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return round(int(done.stdout) * 1024 / 1e6, 1)


def parameters_mb(models: Models) -> float:
    """Size of the exported networks."""
    return sum(path.stat().st_size for path in _network(models).folder.glob("*.onnx")) / 1e6


def _network(models: Models) -> Transcriber:
    model = models.transcriber
    if not isinstance(model, Transcriber):
        raise SystemExit("the cost of a network is measured, and this transcriber is none")
    return model


# -------------------------------------------------------------------------------------------------------------- table


def markdown(figures: Mapping[str, Any]) -> str:
    """Write the tables and the targets."""
    lines = [
        "# Cost of transcribing",
        "",
        f"`python -m bench cost`, hummingface {hf_model.__version__}: {figures['minutes']} minutes of synthetic "
        f"singing, {figures['cores']} cores, {figures['repeats']} rounds in turn after one that is not counted; "
        f"load of the machine before: {figures['load_before']:g}. Processor: {figures['processor']}.",
        "",
    ]
    rows = [
        [
            name,
            f"{row['times_real_time']:g}",
            f"{row['slowest']:g} to {row['fastest']:g}",
            f"{row['seconds_a_cpu_second']:g}",
        ]
        for name, row in figures["speed"].items()
    ]
    head = "from a file to notes | times real time, median | slowest to fastest | s of singing a CPU second"
    lines += [*markdown_table(head, rows), "", f"Target: {FASTER:g} times as fast as the faster peer (aim {AIM:g})."]
    for name, row in figures["ratio"].items():
        lines.append(f"{name}: **{row['median']:g}** ({row['least']:g} to {row['most']:g}).")
    stream = figures["stream"].items()
    rows = [[name, ", ".join(f"{key} {value}" for key, value in row.items())] for name, row in stream]
    lines += ["", *markdown_table("as a stream, in blocks of 20 ms | ", rows), ""]
    rows = [[name, f"{value:g}"] for name, value in figures["memory_mb"].items()]
    lines += markdown_table(f"peak memory (target: {MAX_MB:g} MB for 10 minutes) | MB", rows)
    return "\n".join([*lines, "", f"Weights: {figures['weights_mb']:g} MB."]) + "\n"
