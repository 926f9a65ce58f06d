"""Build the sampled piano's set from a sound font with FluidSynth: a command of its own, not part of the pipeline.

``apt-get install fluidsynth musescore-general-soundfont`` and then ``python -m hf_model.piano.build_samples``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.piano.fluidsynth import GAIN, FluidSynthLibrary, find_sound_font, to_tick
from hf_model.piano.mdct_codec import mdct, pack, quantise
from hf_model.piano.rendering import fade_end
from hf_model.weights import WEIGHTS, write_tensors

LOG = logging.getLogger(__name__)

LICENCE = (
    "Splendid Grand Piano samples: public domain; sound font MuseScore General: MIT, (c) 2018-2021 S. Christian Collins"
)

VELOCITIES = (12, 28, 48, 74, 75, 107, 108, 127)
"""Recorded layers; at 75 and 108 the instrument switches recordings or filters."""

FITTED = (3, 6, 9, 16, 20, 24, 33, 38, 43, 54, 60, 66, 70, 81, 87, 93, 99, 103, 112, 117, 122)
"""Velocities between the layers at which the mix of layers is fitted."""

NOTE_SECONDS, TAIL_FADE = 10.0, 0.5

SIDE_COARSENESS = 8.0
"""Quantisation step of the side relative to the middle: stereo position is perceived from the loud partials."""

LOOP_SECONDS = 20.0
"""Recorded length of each note in which its loop is searched."""

MIN_LOOP, MAX_LOOP = 1.0, 5.0
"""Seconds; in a shorter loop the codec's noise would become a tone."""

QUIET = 3e-6
"""Root mean square after ten seconds below which a note has no loop."""


def record(piano: FluidSynthLibrary, key: int, velocity: int, held: float, seconds: float) -> NDArray[np.float32]:
    """Record one note as stereo (2, sample)."""
    return piano.render([Note(0.0, held, key, velocity)], seconds_to_samples(seconds, PIANO_SAMPLE_RATE))


def middle_and_side(stereo: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the mean of left and right, and half their difference."""
    return np.asarray(stereo.mean(axis=0)), np.asarray(0.5 * (stereo[0] - stereo[1]))


def find_loop(long: NDArray[np.float32]) -> tuple[int, float]:
    """Find the loop of a held note (sample,): its period in samples and the gain per period; (0, 0) if it is silent.

    The reference loops the end of each recording, at a constant rate of decay.
    """
    begin, width = seconds_to_samples(11.0, PIANO_SAMPLE_RATE), 2 * PIANO_SAMPLE_RATE
    sound = long.astype(np.float64)
    template = sound[begin : begin + width]
    if len(template) < width or np.sqrt(np.mean(template**2)) < QUIET:
        return 0, 0.0
    rest = sound[begin : begin + width + seconds_to_samples(MAX_LOOP, PIANO_SAMPLE_RATE)]
    n_fft = 1 << (2 * len(rest) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(rest, n_fft) * np.fft.rfft(template, n_fft).conj(), n_fft)
    energy = np.cumsum(np.concatenate([[0.0], rest**2]))
    n_lags = len(rest) - width
    correlation = products[:n_lags] / np.sqrt((energy[width:-1] - energy[:n_lags]) * np.sum(template**2) + 1e-30)
    first = seconds_to_samples(MIN_LOOP, PIANO_SAMPLE_RATE)
    if n_lags <= first:
        return 0, 0.0
    near = first + int(np.flatnonzero(correlation[first:] > 0.995 * correlation[first:].max())[0])
    loop = near + int(np.argmax(correlation[near : near + 64]))
    repeated = sound[begin + loop : begin + loop + width]
    return loop, float(np.sqrt(np.sum(repeated**2) / np.sum(template**2)))


def fit_mix(below: NDArray[np.float32], above: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit the gains (2,) of two layers (sample,) to a target note (sample,) by least squares."""
    basis = np.stack([below, above], axis=1).astype(np.float64)
    return np.asarray(np.linalg.lstsq(basis, target.astype(np.float64), rcond=None)[0])


def fit_release(struck: NDArray[np.float32], released: NDArray[np.float32], held: int) -> float:
    """Fit the damper's rate (dB a second): the slope of the gain over the first 0.2 s after ``held`` samples."""
    width = PIANO_SAMPLE_RATE // 50
    gains = []
    for begin in range(held, held + 10 * width, width):
        a, b = struck[begin : begin + width].astype(np.float64), released[begin : begin + width]
        gains.append(20 * np.log10(max(float(a @ b) / max(float(a @ a), 1e-20), 1e-5)))
    return max(1.0, -float(np.polyfit(np.arange(10) * width / PIANO_SAMPLE_RATE, gains, 1)[0]))


def empty_columns() -> dict[str, list[Any]]:
    """Make the columns of :func:`add_packed`."""
    return {f"{part}{name}": [] for part in ("", "side_") for name in ("packed", "shape", "peak")}


def add_packed(columns: Mapping[str, list[Any]], stereo: NDArray[np.float32]) -> None:
    """Pack a note (2, sample), middle and side, and append what :func:`pack_notes` joins."""
    sound, side = middle_and_side(stereo)
    levels, peak = quantise(mdct(sound))
    side_levels, side_peak = quantise(mdct(side), SIDE_COARSENESS * peak)
    for part, note, loudest in (("", levels, peak), ("side_", side_levels, side_peak)):
        columns[f"{part}packed"].append(pack(note))
        columns[f"{part}shape"].append(note.shape)
        columns[f"{part}peak"].append(loudest)


def build_key(piano: FluidSynthLibrary, key: int) -> dict[str, Any]:
    """Record, pack and fit one key."""
    layers, releases, loops = {}, [], []
    columns = empty_columns()
    n_fade = seconds_to_samples(TAIL_FADE, PIANO_SAMPLE_RATE)
    for velocity in VELOCITIES:
        long = record(piano, key, velocity, LOOP_SECONDS + 1, LOOP_SECONDS)
        loops.append(find_loop(long.mean(axis=0)))
        struck = long[:, : seconds_to_samples(NOTE_SECONDS, PIANO_SAMPLE_RATE)].copy()
        fade_end(struck)
        struck[:, -n_fade:] *= np.linspace(1, 0, n_fade, dtype=np.float32)
        sound = struck.mean(axis=0)
        add_packed(columns, struck)
        held = to_tick(0.5)
        released = record(piano, key, velocity, 0.5, 1.0).mean(axis=0)
        releases.append(fit_release(sound, released, held))
        layers[velocity] = sound[: 2 * PIANO_SAMPLE_RATE]
    weights = dict.fromkeys(VELOCITIES, (1.0, 0.0))
    for velocity in FITTED:
        index = max(0, int(np.searchsorted(VELOCITIES, velocity)) - 1)
        pair = VELOCITIES[index], VELOCITIES[index + 1]
        target = record(piano, key, velocity, 2.5, 2.0).mean(axis=0)
        gains = fit_mix(layers[pair[0]], layers[pair[1]], target)
        if velocity < VELOCITIES[0]:
            low = layers[VELOCITIES[0]].astype(np.float64)
            gains = np.array([float(low @ target) / float(low @ low), 0.0])
        weights[velocity] = (float(gains[0]), float(gains[1]))
    release = np.interp(np.arange(128), VELOCITIES, releases)
    loop, loop_gain = zip(*loops, strict=True)
    return {**columns, "mix": mix_table(weights), "release": release, "loop": loop, "loop_gain": loop_gain}


def mix_table(weights: dict[int, tuple[float, float]]) -> NDArray[np.float32]:
    """Interpolate fitted gains to every velocity (velocity, 2), separately between each two layers."""
    table = np.zeros((128, 2), dtype=np.float32)
    for low, high in zip((0, *VELOCITIES), (*VELOCITIES, 128), strict=True):
        first, last = low in VELOCITIES, high in VELOCITIES
        inside = [v for v in sorted(weights) if low < v < high]
        known = ([low] if first else []) + inside + ([high] if last else [])
        ends = {low: (1.0, 0.0), high: (0.0, 1.0) if first else (1.0, 0.0)}
        pairs = [weights[v] if v in inside else ends[v] for v in known]
        for v in range(low, high):
            table[v] = [np.interp(v, known, [pair[side] for pair in pairs]) for side in (0, 1)]
    return table


def pack_notes(keys: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Join the packed notes of all keys to the arrays of :class:`hf_model.piano.recordings.PianoSet`."""
    tensors: dict[str, NDArray[Any]] = {}
    for name in ("", "side_"):
        packed = [note for key in keys for note in key[f"{name}packed"]]
        tensors[f"{name}codes"] = np.frombuffer(b"".join(packed), dtype=np.uint8).copy()
        tensors[f"{name}start"] = np.cumsum([0, *map(len, packed)]).astype(np.int64)
        tensors[f"{name}shape"] = np.array([key[f"{name}shape"] for key in keys], dtype=np.int32)
        tensors[f"{name}peak"] = np.array([key[f"{name}peak"] for key in keys], dtype=np.float32)
    return tensors


def build(folder: Path, sound_font: Path) -> None:
    """Build the set of all keys and write it to a folder."""
    piano = FluidSynthLibrary(sound_font)
    keys = []
    for key in range(LOWEST_KEY, HIGHEST_KEY + 1):
        keys.append(build_key(piano, key))
        LOG.info("key %d: %d and %d bytes", key, *(sum(map(len, keys[-1][f"{name}packed"])) for name in ("", "side_")))
    tensors: dict[str, NDArray[Any]] = {
        "velocities": np.array(VELOCITIES, dtype=np.int64),
        "mix": np.stack([key["mix"] for key in keys]).astype(np.float32),
        "release": np.stack([key["release"] for key in keys]).astype(np.float32),
        "loop": np.array([key["loop"] for key in keys], dtype=np.int32),
        "loop_gain": np.array([key["loop_gain"] for key in keys], dtype=np.float32),
        **pack_notes(keys),
    }
    settings = {
        "kind": "piano",
        "sound_font": sound_font.name,
        "preset": "Grand Piano (bank 0, program 0)",
        "licence": LICENCE,
        "gain": GAIN,
        "sample_rate": PIANO_SAMPLE_RATE,
        "channels": "stereo: mean of left and right, and half their difference",
    }
    write_tensors(folder, tensors, settings)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound-font", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "piano")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(arguments.out, arguments.sound_font or find_sound_font())


if __name__ == "__main__":
    main()
