"""Notes that the transcriber finds where there are none.

    python bench/transcriber_noise.py [--model DIR] [--minutes 10]

Sounds are made by ``hf_model.augmentation.noise``, with seeds that training never draws, and heard as a user would
have them heard:
``hf_model.transcribe``. The table and the figures go to ``reports/transcriber/noise.md`` and ``noise.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hf_model
from hf_model.augmentation.noise import BENCH_SEED, RATE, noise
from hf_model.inference import Models

REPORTS = Path(__file__).resolve().parents[1] / "reports" / "transcriber"

TARGET, AIM = 2.0, 0.0
"""Notes a minute."""

PIECE = 60.0
"""Seconds that one seed makes: ten minutes are ten rooms, streets or machines."""

AMONG_TARGETS = ("silence", "dither", "hiss", "hum", "street")
"""The issue asks for these; the others are told beside them."""

Maker = Callable[[float, int], NDArray[np.float32]]


def of_kind(kind: str) -> Maker:
    """Make what the module makes, at the level that it draws."""
    return lambda seconds, seed: noise(kind, seconds, seed)


def at_level(maker: Maker, decibels: float) -> Maker:
    """Make the same at an RMS level in dB below full scale."""

    def make(seconds: float, seed: int) -> NDArray[np.float32]:
        sound = maker(seconds, seed)
        return np.asarray(sound * 10 ** (decibels / 20) / np.sqrt(np.mean(sound**2)), dtype=np.float32)

    return make


def plain_hum(mains: float, harmonics: int) -> Maker:
    """Make a steady hum without any hiss: partials that fall by 6 dB an octave, with phases of their own."""

    def make(seconds: float, seed: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        times = np.arange(round(seconds * RATE)) / RATE
        partials = [np.sin(2 * np.pi * (mains * k * times + rng.random())) / k for k in range(1, harmonics + 1)]
        return np.asarray(np.sum(partials, axis=0), dtype=np.float32)

    return make


def mixed(first: Maker, second: Maker, decibels: float) -> Maker:
    """Add a second sound, so many dB below the first."""

    def make(seconds: float, seed: int) -> NDArray[np.float32]:
        return at_level(first, -30.0)(seconds, seed) + at_level(second, -30.0 - decibels)(seconds, seed)

    return make


HISS = of_kind("hiss")
SOUNDS: dict[str, tuple[str, Maker]] = {
    "digital silence": ("silence", of_kind("silence")),
    "16-bit dither": ("dither", of_kind("dither")),
    "microphone hiss": ("hiss", HISS),
    **{f"microphone hiss, {level:.0f} dB": ("hiss", at_level(HISS, level)) for level in (-20, -50, -70)},
    **{
        f"hum of {mains} Hz, {harmonics} partials, {level} dB": ("hum", at_level(plain_hum(mains, harmonics), level))
        for mains in (50, 60)
        for harmonics, level in ((1, -30), (8, -20), (8, -60), (40, -40))
    },
    **{
        f"hum of {mains} Hz, hiss {below} dB below": ("hum", mixed(plain_hum(mains, 8), HISS, below))
        for mains in (50, 60)
        for below in (0, 20)
    },
    "hums and buzzes of all kinds": ("hum", of_kind("hum")),
    "street": ("street", of_kind("street")),
    "street, -20 dB": ("street", at_level(of_kind("street"), -20)),
    "street, -60 dB": ("street", at_level(of_kind("street"), -60)),
    **{kind: (kind, of_kind(kind)) for kind in ("talk", "wind", "fan", "rain", "typing", "birds")},
}
"""What is heard: its name, what it counts among, and how it is made."""


def main() -> None:
    """Hear everything, write the figures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="a transcriber's folder, instead of the weights that ship")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each sound")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder of noise.json and noise.md")
    options = parser.parse_args()
    models = Models(options.model) if options.model else None
    rows = {name: heard(maker, options.minutes, models) for name, (_, maker) in SOUNDS.items()}
    figures = {"minutes": options.minutes, "target": TARGET, "aim": AIM, "sounds": rows}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "noise.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = markdown(figures)
    (options.out / "noise.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


def heard(maker: Maker, minutes: float, models: Models | None) -> dict[str, Any]:
    """Hear so many minutes of a sound, each made by another seed, as one recording; count the notes."""
    start = time.perf_counter()
    n_pieces = int(np.ceil(minutes * 60 / PIECE))
    sound = np.concatenate([maker(PIECE, BENCH_SEED + i) for i in range(n_pieces)])[: round(minutes * 60 * RATE)]
    notes = hf_model.transcribe(sound, RATE, models=models)
    counts = np.bincount([int(note.onset // PIECE) for note in notes], minlength=n_pieces)
    figures = {
        "notes_a_minute": round(len(notes) / minutes, 2),
        "worst_minute": int(counts.max()),
        "median_duration": round(float(np.median([note.duration for note in notes])), 2) if notes else None,
        "median_pitch": round(float(np.median([note.pitch for note in notes])), 1) if notes else None,
        "median_confidence": round(float(np.median([note.confidence for note in notes])), 2) if notes else None,
    }
    print(f"{len(notes) / minutes:6.1f} notes a minute, {time.perf_counter() - start:5.1f} s", flush=True)
    return figures


def markdown(figures: Mapping[str, Any]) -> str:
    """Write the table and what was asked for."""
    worst = max(
        figures["sounds"][name]["notes_a_minute"] for name, (kind, _) in SOUNDS.items() if kind in AMONG_TARGETS
    )
    lines = [
        "# Notes where there are none",
        "",
        f"{figures['minutes']:g} minutes of each sound, every minute made by another seed, through "
        "`hf_model.transcribe`: `python bench/transcriber_noise.py`.",
        "",
        f"Asked for: at most {TARGET:g} a minute in silence, hum and street noise (aim {AIM:g}). "
        f"Found: at most **{worst:g}**.",
        "",
        "| sound | notes a minute | in the worst minute | median duration, s | median pitch | median confidence |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in figures["sounds"].items():
        values = ["-" if value is None else f"{value:g}" for value in row.values()]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
