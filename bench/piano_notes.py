"""Single notes over the keyboard: attack, decay, release, and whether anything clicks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from piano_melodies import show
from piano_pianos import Audio

from hf_model.evaluation.audio_metrics import (
    constant_offset,
    decay_rates,
    largest_step,
    log_mel_distance,
    partial_frequencies,
    rise_time,
)
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.piano.rendering import SAMPLE_RATE, Renderer

KEYS, VELOCITIES = range(LOWEST_KEY, HIGHEST_KEY + 1, 3), (40, 64, 90, 118)
HELD, HEARD = 2.0, 2.4
"""Seconds that a note is held, and listened to."""

EIGHT_VELOCITIES = (8, 25, 42, 59, 76, 93, 110, 127)
SLOT = 0.75
"""Seconds that each of eight velocities gets on the same key."""

SLOWEST_DECAY = 6.0
"""dB a second: differences of partials that decay more slowly are taken relative to this (1 dB over the window)."""


def compare_notes(reference: Renderer, pianos: Mapping[str, Renderer]) -> dict[str, Any]:
    """Measure attack and decay on every third key at four velocities."""
    rows: dict[str, dict[str, list[Any]]] = {name: {"rise": [], "decay": [], "log_mel": []} for name in pianos}
    for key in KEYS:
        show(f"key {key}")
        for velocity in VELOCITIES:
            wanted = play(reference, key, velocity)
            frequencies = partial_frequencies(wanted, float(pitch_to_hz(key)))
            truth = decay_rates(wanted, frequencies)
            for name, piano in pianos.items():
                sound = play(piano, key, velocity)
                rows[name]["rise"].append(1000.0 * abs(rise_time(sound) - rise_time(wanted)))
                off = np.abs(decay_rates(sound, frequencies) - truth) / np.maximum(np.abs(truth), SLOWEST_DECAY)
                rows[name]["decay"] += (100.0 * off).tolist()
                rows[name]["log_mel"].append(log_mel_distance(wanted, sound))
    show("")
    return {name: summarize(row) for name, row in rows.items()}


def summarize(row: Mapping[str, list[float]]) -> dict[str, float]:
    """Name the figures of one piano: ms, percent, dB."""
    rise, decay = np.array(row["rise"]), np.array(row["decay"])
    figures = {
        "notes": len(rise),
        "partials": len(decay),
        "rise_mean_ms": rise.mean(),
        "rise_worst_ms": rise.max(),
        "rise_within_5_ms_percent": 100.0 * (rise <= 5.0).mean(),
        "decay_median_percent": np.median(decay),
        "decay_95th_percent": np.percentile(decay, 95),
        "decay_within_15_percent": 100.0 * (decay <= 15.0).mean(),
        "log_mel": np.mean(row["log_mel"]),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def compare_keyboard(reference: Renderer, pianos: Mapping[str, Renderer]) -> dict[str, Any]:
    """Play 88 keys at 8 velocities: the largest sample step against the reference's, NaN, DC."""
    n_samples = round(SLOT * len(EIGHT_VELOCITIES) * SAMPLE_RATE)
    figures: dict[str, dict[str, Any]] = {name: {"step": [], "finite": True, "offset": []} for name in pianos}
    truth_offsets = []
    for key in range(LOWEST_KEY, HIGHEST_KEY + 1):
        show(f"key {key}")
        notes = [Note(i * SLOT + 0.05, i * SLOT + 0.5, key, v) for i, v in enumerate(EIGHT_VELOCITIES)]
        wanted = slots(reference.render(notes, n_samples))
        truth_offsets += [constant_offset(part) for part in wanted]
        for name, piano in pianos.items():
            given = slots(piano.render(notes, n_samples))
            figures[name]["step"] += [largest_step(g) / largest_step(w) for g, w in zip(given, wanted, strict=True)]
            figures[name]["offset"] += [constant_offset(part) for part in given]
            figures[name]["finite"] &= all(bool(np.isfinite(part).all()) for part in given)
    show("")
    return {
        name: {
            "notes": len(row["step"]),
            "step_ratio_median": round(float(np.median(row["step"])), 3),
            "step_ratio_worst": round(float(np.max(row["step"])), 3),
            "offset_worst": round(float(np.max(row["offset"])), 5),
            "offset_worst_of_reference": round(float(np.max(truth_offsets)), 5),
            "finite": row["finite"],
        }
        for name, row in figures.items()
    }


def play(piano: Renderer, key: int, velocity: int) -> Audio:
    """Play one note from 0 s, as mono (sample,): the mean of the channels."""
    return piano.render([Note(0.0, HELD, key, velocity)], round(HEARD * SAMPLE_RATE)).mean(axis=0)


def slots(audio: Audio) -> list[Audio]:
    """Cut a rendering of eight notes into its notes, mono."""
    return np.split(audio.mean(axis=0), len(EIGHT_VELOCITIES))
