"""What the pianos cost: time, weights, and memory for ten minutes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from piano_melodies import SECONDS, made_scores, show
from piano_pianos import load_pianos, load_reference

from hf_model.notes.note import Note
from hf_model.piano.rendering import SAMPLE_RATE, Renderer, render_blocks
from hf_model.weights import WEIGHTS

TEN_MINUTES = 600
FOLDERS = {"sampled": ("piano",), "neural": ("synthesizer", "partials")}


def measure_cost(
    reference: Renderer, pianos: Mapping[str, Renderer], notes: list[Note], model: Path
) -> dict[str, dict[str, float]]:
    """Time ten minutes of melody, add the weights up, and render in a process of its own to see its memory."""
    many = repeated(notes, TEN_MINUTES // SECONDS)
    figures: dict[str, dict[str, float]] = {}
    for name, piano in {"reference": reference, **pianos}.items():
        show(f"ten minutes: {name}")
        start, spent = time.perf_counter(), processor_seconds()
        piano.render(many, TEN_MINUTES * SAMPLE_RATE)
        figures[name] = {
            "times_real_time": round(TEN_MINUTES / (time.perf_counter() - start), 1),
            "seconds_per_cpu_second": round(TEN_MINUTES / (processor_seconds() - spent), 1),
        }
    for name, folders in FOLDERS.items():
        size = sum(path.stat().st_size for folder in folders for path in (WEIGHTS / folder).rglob("*.safetensors"))
        figures[name]["weights_mb"] = round(size / 1e6, 2)
        for minutes in (2, 10):
            show(f"memory: {name}, {minutes} minutes")
            command = [sys.executable, __file__.replace("piano_cost", "piano"), "--memory", f"{name}:{minutes}"]
            done = subprocess.run(
                [*command, "--model", str(model)], capture_output=True, text=True, check=True, env=os.environ
            )
            figures[name][f"memory_{minutes}_minutes_mb"] = float(done.stdout)
    show("")
    return figures


def processor_seconds() -> float:
    """Time that this process and those it has waited for were on a processor: it does not see who else is busy."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def print_memory(what: str, model: Path) -> None:
    """Play ``PIANO:MINUTES`` block by block, as the program does, and print this process' peak memory in MB."""
    name, minutes = what.split(":")
    piano = load_reference()[0] if name == "reference" else load_pianos(model)[name]
    notes = repeated(made_scores(1)["made-0"], int(minutes) * 60 // SECONDS)
    for _ in render_blocks(piano, notes, int(minutes) * 60 * SAMPLE_RATE):
        pass
    # Not ru_maxrss, which a process has from the one that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    print(round(int(peak[1]) * 1024 / 1e6, 1) if peak else "nan")


def repeated(notes: list[Note], times: int) -> list[Note]:
    """Play a melody of 20 s again and again."""
    return [
        Note(note.onset + SECONDS * i, note.offset + SECONDS * i, note.pitch, note.velocity)
        for i in range(times)
        for note in notes
    ]
