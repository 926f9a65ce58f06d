"""What hearing costs: speed beside the peers, speed as a stream, memory for ten minutes.

    python bench/transcriber_cost.py [--model DIR] [--repeats 7] [--minutes 3]

All hear the same made singing in one process on two cores, turn by turn, after a first round that does not count;
``make peers`` adds basic-pitch. Figures and table go to ``reports/transcriber/cost.json`` and ``cost.md``.
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
import torch
from numpy.typing import NDArray

import hf_model
from hf_model.audio.io import read_audio, write_audio
from hf_model.audio.recording import read_recording
from hf_model.evaluation.baselines import basic_pitch_events, installed
from hf_model.inference import Models, hear
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing
from hf_model.transcriber.fused import fast_dtype
from hf_model.transcriber.network import Transcriber

REPORTS = Path(__file__).resolve().parents[1] / "reports" / "transcriber"
RATE = 16000
CORES = 2
FASTER, AIM = 1.5, 3.0
MOST_MB = 600.0
OURS = "HummingFace"


def main() -> None:
    """Measure, write the figures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="a transcriber's folder, instead of the weights that ship")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--minutes", type=int, default=3, help="of singing that everybody hears")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder of cost.json and cost.md")
    options = parser.parse_args()
    models = Models(options.model)
    if hasattr(os, "sched_setaffinity"):  # before the peers count the cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory() as folder:
        path, long = Path(folder) / "singing.wav", Path(folder) / "long.wav"
        voice = singing(options.minutes)
        write_audio(path, voice, RATE)
        write_audio(long, np.resize(voice, 600 * RATE), RATE)
        figures: dict[str, Any] = {"cores": CORES, "minutes": options.minutes, "repeats": options.repeats}
        figures["load_before"] = round(os.getloadavg()[0], 1)
        figures["precision"] = str(fast_dtype()).removeprefix("torch.")
        figures["speed"] = measured(contenders(path, models), options.minutes * 60, options.repeats)
        figures["ratio"] = ratios(figures["speed"])
        figures["stream"] = streamed(voice, models)
        figures["memory_mb"] = {
            name: memory(argument, options.model)
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


def singing(minutes: int) -> NDArray[np.float32]:
    """Sing composed phrases, another one each minute."""
    songs = [np.resize(sing(compose(seed, 60.0), seed).audio, 60 * RATE) for seed in range(minutes)]
    return np.concatenate(songs)


# -------------------------------------------------------------------------------------------------------------- speed


def contenders(path: Path, models: Models) -> dict[str, Callable[[], list[Any]]]:
    """Give what is timed: from the file to the notes, and from samples in memory to the notes."""
    voice = read_recording(path).voice
    found: dict[str, Callable[[], list[Any]]] = {
        OURS: lambda: hear(read_recording(path), models=models).notes,
        f"{OURS}, samples to notes": lambda: models.transcriber.transcribe(voice),
    }
    if installed(["swift_f0"]):
        import swift_f0

        for threads in (1, CORES):
            detector = swift_f0.SwiftF0(threads=threads)

            def swift(detector: Any = detector) -> list[Any]:
                audio, rate = read_audio(path)
                return list(swift_f0.segment_notes(detector.detect(audio[0], rate)))

            def swift_alone(detector: Any = detector) -> list[Any]:
                return list(swift_f0.segment_notes(detector.detect(voice, RATE)))

            name = f"swift-f0, {threads} thread{'s' if threads > 1 else ''}"
            found[name], found[f"{name}, samples to notes"] = swift, swift_alone
    else:
        print("swift-f0 is not installed (pip install 'hummingface[peers]'): left out")
    if installed(["basic_pitch"]):
        found["basic-pitch"] = partial(basic_pitch_events(), path)
    else:
        print("basic-pitch is not installed (make peers): left out")
    return found


def measured(named: Mapping[str, Callable[[], list[Any]]], seconds: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Time all of them turn by turn; the first round does not count."""
    rows: dict[str, dict[str, Any]] = {name: {"seconds": [], "cpu": []} for name in named}
    for i in range(repeats + 1):
        for name, run in named.items():
            begun, spent = time.perf_counter(), time.process_time()
            n_notes = len(run())
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
    """Compare with the faster peer, round by round, since what else the machine does changes from round to round."""
    found = {}
    for kind in ("", ", samples to notes"):
        peers = [name for name in rows if name.endswith(kind) and not name.startswith(OURS)]
        if not kind:
            peers = [name for name in peers if not name.endswith("to notes")]
        if peers:
            fastest = max(peers, key=lambda name: rows[name]["times_real_time"])
            each = [
                theirs / ours
                for theirs, ours in zip(rows[fastest]["seconds"], rows[OURS + kind]["seconds"], strict=True)
            ]
            found[f"{OURS}{kind} against {fastest}"] = {
                "median": round(statistics.median(each), 2),
                "least": round(min(each), 2),
                "most": round(max(each), 2),
            }
    return found


# ------------------------------------------------------------------------------------------------------------- stream


def streamed(voice: NDArray[np.float32], models: Models) -> dict[str, Any]:
    """Push blocks of 20 ms, with two sizes of chunks; compare with the whole, and with parts that were heard apart."""
    model = models.transcriber
    assert isinstance(model, Transcriber)
    whole = model.transcribe(voice)
    rows: dict[str, Any] = {}
    for name, chunk_seconds in (("as it comes", None), ("chunks of 1 s", 1.0)):
        stream, notes, longest = model.stream(chunk_seconds=chunk_seconds), [], 0.0
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
    edges = np.arange(0, voice.size + 1, 20 * RATE)
    apart = [
        Note(note.onset + first / RATE, note.offset + first / RATE, note.pitch)
        for first in edges[:-1].tolist()
        for note in model.transcribe(voice[first : first + 20 * RATE])
    ]
    for margin in (1.0, 7.0):
        inner = [away(notes, edges / RATE, margin) for notes in (whole, apart)]
        rows[f"20 s heard apart, beyond {margin:g} s of a cut"] = {"agree": agreement(*inner), "notes": len(inner[0])}
    return rows


def away(notes: list[Note], edges: NDArray[np.float64], margin: float) -> list[Note]:
    """Keep the notes that lie wholly farther than so many seconds from every cut."""
    return [note for note in notes if not np.any((edges > note.onset - margin) & (edges < note.offset + margin))]


def agreement(reference: list[Note], estimate: list[Note]) -> float:
    """Share of the notes of both that the other has too: onset and offset within 1 ms, pitch within 2 cents."""
    pairs = sum(
        any(
            abs(one.onset - other.onset) < 1e-3
            and abs(one.offset - other.offset) < 1e-3
            and abs(one.pitch - other.pitch) < 0.02
            for other in estimate
        )
        for one in reference
    )
    return round(2 * pairs / max(1, len(reference) + len(estimate)), 4)


# ------------------------------------------------------------------------------------------------------------- memory


HEARING = """
import re, sys
from pathlib import Path
from hf_model.inference import Models, hear
from hf_model.audio.recording import read_recording
import hf_model.transcriber.network, torch
path, model, cores = sys.argv[1:]
torch.set_num_threads(int(cores))
if path:
    hear(read_recording(path), models=Models(model or None))
# Not ru_maxrss, which a process has from the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
"""
"""A program of its own that hears a file, imports only what that needs, and prints its peak memory in kB."""


def memory(path: Path | str, model: str | None) -> float:
    """Peak memory in MB of a process of its own that hears a file, or only imports what it would need."""
    command = [sys.executable, "-c", HEARING, str(path), model or "", str(CORES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(int(done.stdout) * 1024 / 1e6, 1)


def parameters_mb(models: Models) -> float:
    """Size of the weights as they ship."""
    model = models.transcriber
    assert isinstance(model, Transcriber)
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) / 1e6


# -------------------------------------------------------------------------------------------------------------- table


def markdown(figures: Mapping[str, Any]) -> str:
    """Write the tables and what was asked for."""
    lines = [
        "# What hearing costs",
        "",
        f"`python bench/transcriber_cost.py`, hummingface {hf_model.__version__}: {figures['minutes']} minutes of made "
        f"singing, {figures['cores']} cores, {figures['repeats']} rounds turn by turn after one that does not count; "
        f"load of the machine before: {figures['load_before']:g}; the network computes in {figures['precision']} here.",
        "",
        "| from a file to notes | times real time, median | slowest to fastest | s of singing a CPU second |",
        "|---|---|---|---|",
    ]
    for name, row in figures["speed"].items():
        spread = f"{row['slowest']:g} to {row['fastest']:g}"
        lines.append(f"| {name} | {row['times_real_time']:g} | {spread} | {row['seconds_a_cpu_second']:g} |")
    lines += ["", f"Asked for: {FASTER:g} times as fast as the faster peer (aim {AIM:g})."]
    for name, row in figures["ratio"].items():
        lines.append(f"{name}: **{row['median']:g}** ({row['least']:g} to {row['most']:g}).")
    lines += ["", "| as a stream, in blocks of 20 ms | |", "|---|---|"]
    for name, row in figures["stream"].items():
        lines.append(f"| {name} | {', '.join(f'{key} {value}' for key, value in row.items())} |")
    lines += ["", f"| peak memory (asked for: {MOST_MB:g} MB for 10 minutes) | MB |", "|---|---|"]
    lines += [f"| {name} | {value:g} |" for name, value in figures["memory_mb"].items()]
    return "\n".join([*lines, "", f"Weights: {figures['weights_mb']:g} MB."]) + "\n"


if __name__ == "__main__":
    main()
