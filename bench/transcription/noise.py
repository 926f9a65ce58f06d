"""Count the notes that are transcribed where there are none: silence, hum, noise, speech.

Sounds are made by hf_model.augmentation.noise with seeds that training does not use, and transcribed by
hf_model.transcribe. Writes noise.md and noise.json.
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
from hf_model.audio.grid import VOICE_STFT
from hf_model.augmentation.noise import BENCH_SEED, noise
from hf_model.evaluation.report import markdown_table
from hf_model.inference import Models

RATE = VOICE_STFT.sample_rate
TARGET, AIM = 2.0, 0.0  # notes a minute
SEGMENT = 60.0  # seconds of each seed
TARGET_KINDS = ("silence", "dither", "hiss", "hum", "street")
"""Kinds of sound to which the target applies."""

Maker = Callable[[float, int], NDArray[np.float32]]
"""Makes a sound (sample,) of so many seconds from a seed."""


def of_kind(kind: str) -> Maker:
    """Make noise of a kind at its own level."""
    return lambda seconds, seed: noise(kind, seconds, seed)


def at_level(maker: Maker, decibels: float) -> Maker:
    """Set the RMS level, in dB relative to full scale."""

    def make(seconds: float, seed: int) -> NDArray[np.float32]:
        sound = maker(seconds, seed)
        return np.asarray(sound * 10 ** (decibels / 20) / np.sqrt(np.mean(sound**2)), dtype=np.float32)

    return make


def plain_hum(mains: float, harmonics: int) -> Maker:
    """Make a steady hum without hiss: partials that fall by 6 dB an octave, with random phases."""

    def make(seconds: float, seed: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        times = np.arange(round(seconds * RATE)) / RATE
        partials = [np.sin(2 * np.pi * (mains * k * times + rng.random())) / k for k in range(1, harmonics + 1)]
        return np.asarray(np.sum(partials, axis=0), dtype=np.float32)

    return make


def mixed(first: Maker, second: Maker, decibels: float) -> Maker:
    """Add a second sound, so many dB below the first."""
    parts = at_level(first, -30.0), at_level(second, -30.0 - decibels)
    return lambda seconds, seed: parts[0](seconds, seed) + parts[1](seconds, seed)


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
"""The kind of each sound, and how it is made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--model", help="a transcriber's folder, instead of the weights that ship")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each sound")
    parser.add_argument("--out", type=Path, default=Path("reports/transcriber"), help="folder of noise.json, noise.md")


def run(options: argparse.Namespace) -> None:
    """Transcribe all sounds, write the figures, print the table."""
    models = Models(options.model) if options.model else None
    rows = {name: count_notes(maker, options.minutes, models) for name, (_, maker) in SOUNDS.items()}
    figures = {"minutes": options.minutes, "target": TARGET, "aim": AIM, "sounds": rows}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "noise.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = markdown(figures)
    (options.out / "noise.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


def count_notes(maker: Maker, minutes: float, models: Models | None) -> dict[str, Any]:
    """Transcribe so many minutes of a sound as one recording, and describe the notes found."""
    start = time.perf_counter()
    n_segments = int(np.ceil(minutes * 60 / SEGMENT))
    sound = np.concatenate([maker(SEGMENT, BENCH_SEED + i) for i in range(n_segments)])[: round(minutes * 60 * RATE)]
    notes = hf_model.transcribe(sound, RATE, models=models)
    counts = np.bincount([int(note.onset // SEGMENT) for note in notes], minlength=n_segments)
    print(f"{len(notes) / minutes:6.1f} notes a minute, {time.perf_counter() - start:5.1f} s", flush=True)
    return {
        "notes_a_minute": round(len(notes) / minutes, 2),
        "worst_minute": int(counts.max()),
        "median_duration": round(float(np.median([note.duration for note in notes])), 2) if notes else None,
        "median_pitch": round(float(np.median([note.pitch for note in notes])), 1) if notes else None,
        "median_confidence": round(float(np.median([note.confidence for note in notes])), 2) if notes else None,
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """Write the table and the target."""
    sounds = figures["sounds"]
    worst = max(sounds[name]["notes_a_minute"] for name, (kind, _) in SOUNDS.items() if kind in TARGET_KINDS)
    lines = [
        "# Notes where there are none",
        "",
        f"{figures['minutes']:g} minutes of each sound, every minute from another seed, through "
        "`hf_model.transcribe`: `python -m bench noise`.",
        "",
        f"Target: at most {TARGET:g} a minute in silence, hum and street noise (aim {AIM:g}). "
        f"Measured: at most **{worst:g}**.",
        "",
    ]
    head = "sound | notes a minute | in the worst minute | median duration, s | median pitch | median confidence"
    rows = [[name, *("-" if v is None else f"{v:g}" for v in row.values())] for name, row in sounds.items()]
    return "\n".join([*lines, *markdown_table(head, rows)]) + "\n"
