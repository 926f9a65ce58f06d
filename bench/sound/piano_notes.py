"""The parts ``notes`` and ``keyboard`` of ``piano``: single notes compared with the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from hf_model.audio.grid import PIANO_SAMPLE_RATE
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
from hf_model.piano.rendering import Renderer

Audio = NDArray[np.float32]
KEYS, VELOCITIES = range(LOWEST_KEY, HIGHEST_KEY + 1, 3), (40, 64, 90, 118)
HELD, RENDERED = 2.0, 2.4  # seconds of a note, and of its rendering
EIGHT_VELOCITIES = (8, 25, 42, 59, 76, 93, 110, 127)
SLOT = 0.75  # seconds of each of eight velocities on the same key
MIN_DECAY = 6.0  # dB a second: differences of partials that decay more slowly are relative to this


def compare_notes(reference: Renderer, pianos: Mapping[str, Renderer]) -> dict[str, Any]:
    """Compare attack and decay on every third key at four velocities."""
    rows: dict[str, dict[str, list[float]]] = {name: {"rise": [], "decay": [], "log_mel": []} for name in pianos}
    for key in track(KEYS, "notes"):
        for velocity in VELOCITIES:
            wanted = play(reference, key, velocity)
            frequencies = partial_frequencies(wanted, float(pitch_to_hz(key)))
            rates = decay_rates(wanted, frequencies)
            for name, piano in pianos.items():
                sound = play(piano, key, velocity)
                rows[name]["rise"].append(1000.0 * abs(rise_time(sound) - rise_time(wanted)))
                off = np.abs(decay_rates(sound, frequencies) - rates) / np.maximum(np.abs(rates), MIN_DECAY)
                rows[name]["decay"] += (100.0 * off).tolist()
                rows[name]["log_mel"].append(log_mel_distance(wanted, sound))
    return {name: _summary(row) for name, row in rows.items()}


def _summary(row: Mapping[str, list[float]]) -> dict[str, float]:
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
    """Compare 88 keys at 8 velocities: sample steps, level, left against right; and look for NaN and DC."""
    n_samples = round(SLOT * len(EIGHT_VELOCITIES) * PIANO_SAMPLE_RATE)
    rows: dict[str, dict[str, list[float]]] = {
        name: {"step": [], "offset": [], "level": [], "balance": [], "finite": []} for name in pianos
    }
    reference_offsets = []
    for key in track(range(LOWEST_KEY, HIGHEST_KEY + 1), "keyboard"):
        notes = [Note(i * SLOT + 0.05, i * SLOT + 0.5, key, v) for i, v in enumerate(EIGHT_VELOCITIES)]
        wanted = np.split(reference.render(notes, n_samples), len(EIGHT_VELOCITIES), axis=1)
        reference_offsets += [constant_offset(part.mean(axis=0)) for part in wanted]
        for name, piano in pianos.items():
            given = np.split(piano.render(notes, n_samples), len(EIGHT_VELOCITIES), axis=1)
            for one, other in zip(given, wanted, strict=True):
                rows[name]["step"].append(largest_step(one.mean(axis=0)) / largest_step(other.mean(axis=0)))
                rows[name]["offset"].append(constant_offset(one.mean(axis=0)))
                rows[name]["level"].append(abs(level(one) - level(other)))
                rows[name]["balance"].append(
                    abs(level(one[:1]) - level(one[-1:]) - level(other[:1]) + level(other[1:]))
                )
                rows[name]["finite"].append(bool(np.isfinite(one).all()))
    return {
        name: {
            "notes": len(row["step"]),
            "step_ratio_median": round(float(np.median(row["step"])), 3),
            "step_ratio_worst": round(float(np.max(row["step"])), 3),
            "level_median_db": round(float(np.median(row["level"])), 3),
            "level_worst_db": round(float(np.max(row["level"])), 3),
            "balance_median_db": round(float(np.median(row["balance"])), 3),
            "balance_worst_db": round(float(np.max(row["balance"])), 3),
            "offset_worst": round(float(np.max(row["offset"])), 5),
            "offset_worst_of_reference": round(float(np.max(reference_offsets)), 5),
            "finite": all(row["finite"]),
        }
        for name, row in rows.items()
    }


def play(piano: Renderer, key: int, velocity: int) -> Audio:
    """Play one note from 0 s, as mono (sample,): the mean of the channels."""
    audio = piano.render([Note(0.0, HELD, key, velocity)], round(RENDERED * PIANO_SAMPLE_RATE))
    return np.asarray(audio.mean(axis=0))


def level(audio: Audio) -> float:
    """Level of audio (channel, sample), dB."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-20))
