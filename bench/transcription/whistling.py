"""Synthetic whistling with its notes: a sine with turbulence, slides, articulation, vibrato and drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage, signal

from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.singer.composition import compose

Audio = NDArray[np.float32]

RATE = 44100
"""Hz."""

CONTROL_RATE = 1000
"""Hz, of pitch and level."""

LOWEST, HIGHEST = 83, 102
"""MIDI numbers of 988 Hz and 2,960 Hz."""

MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)
LEAD = 0.4
"""Seconds before the first note."""


class Whistled(NamedTuple):
    """Audio (sample,) at 44.1 kHz, and its notes with the pitch that the score has."""

    audio: Audio
    notes: list[Note]


def scale(seed: int) -> list[Note]:
    """Compose a major scale up and down, from 0.2 to 0.6 s a note."""
    rng = np.random.default_rng([seed, 1])
    tonic, beat = int(rng.integers(LOWEST, HIGHEST - 11)), rng.uniform(0.2, 0.6)
    steps = MAJOR + MAJOR[-2::-1]
    return [Note(i * beat, (i + 1) * beat, float(tonic + step)) for i, step in enumerate(steps)]


def tune(seed: int, seconds: float = 14.0) -> list[Note]:
    """Compose a melody in the range of whistling."""
    notes = compose(seed, seconds)
    low, high = min(note.pitch for note in notes), max(note.pitch for note in notes)
    rng = np.random.default_rng([seed, 2])
    room = HIGHEST - LOWEST - (high - low)
    shift = LOWEST - low + (rng.integers(0, int(room) + 1) if room > 0 else 0)
    moved = (replace(note, pitch=note.pitch + shift) for note in notes)
    return [note for note in moved if note.pitch <= HIGHEST and note.duration >= 0.15]


def whistle(score: Sequence[Note], seed: int) -> Whistled:
    """Whistle a score.

    Parameters
    ----------
    score : sequence of Note
        Monophonic and sorted, the first onset at 0.
    seed : int
        Determines the whistler and every detail.

    Returns
    -------
    Whistled
        Notes begin where the pitch or the breath changes; their pitch is that of the score.
    """
    rng = np.random.default_rng([seed, 3])
    n_frames = int((score[-1].offset + LEAD + 0.6) * CONTROL_RATE)
    times = np.arange(n_frames) / CONTROL_RATE
    tuning, tongued, glide = rng.uniform(-0.35, 0.35), rng.uniform(0.0, 1.0), rng.uniform(0.03, 0.12)
    pitch, level = np.full(n_frames, score[0].pitch), np.zeros(n_frames)
    labels: list[Note] = []
    for number, note in enumerate(score):
        onset, offset = note.onset + LEAD, note.offset + LEAD
        following = score[number + 1] if number + 1 < len(score) else None
        is_joined = following is not None and following.onset - note.offset < 0.03
        is_repeated = following is not None and abs(following.pitch - note.pitch) < 0.5
        if is_joined and (is_repeated or rng.random() < tongued):
            offset -= min(rng.uniform(0.03, 0.08), 0.3 * note.duration)  # the tongue or the breath stops
        elif is_joined and following is not None:
            offset = following.onset + LEAD
        sounding = (times >= onset) & (times < offset)
        level[sounding] = 10.0 ** (rng.normal(0.0, 1.5) / 20.0)
        pitch[times >= onset] = note.pitch + tuning + rng.normal(0.0, 0.12)
        labels.append(Note(onset, offset, note.pitch))
    pitch = ndimage.uniform_filter1d(ndimage.uniform_filter1d(pitch, _frames(glide)), _frames(glide / 2))
    pitch += _scoops(labels, times, rng) + _vibrato(labels, times, rng) + _drift(n_frames, rng)
    level = ndimage.gaussian_filter1d(level, 1e-3 * CONTROL_RATE * rng.uniform(4.0, 10.0))
    level *= 10.0 ** (ndimage.gaussian_filter1d(rng.standard_normal(n_frames), 40.0) * rng.uniform(2.0, 10.0) / 20.0)
    return Whistled(_sound(pitch, level, rng), labels)


def _sound(pitch: NDArray[np.float64], level: NDArray[np.float64], rng: Generator) -> Audio:
    """Synthesize a sine with a weak second harmonic, turbulence around it, and the noise of the breath."""
    n_samples = len(pitch) * RATE // CONTROL_RATE
    at = np.arange(n_samples) * CONTROL_RATE / RATE
    hz = pitch_to_hz(np.interp(at, np.arange(len(pitch)), pitch))
    loud = np.interp(at, np.arange(len(level)), level)
    jitter = ndimage.gaussian_filter1d(rng.standard_normal(n_samples), RATE * 0.002)
    phase = 2.0 * np.pi * np.cumsum(hz) / RATE + rng.uniform(0.02, 0.2) * jitter / jitter.std()
    octave = 10.0 ** rng.uniform(-2.2, -1.0)
    tone = np.sin(phase) + octave * np.sin(2.0 * phase + rng.uniform(0.0, 6.0))
    narrow = ndimage.gaussian_filter1d(rng.standard_normal((2, n_samples)), RATE / rng.uniform(400.0, 1200.0), axis=1)
    narrow /= narrow.std()
    turbulence = narrow[0] * np.cos(phase) + narrow[1] * np.sin(phase)
    low, high = rng.uniform(500.0, 1500.0), rng.uniform(5000.0, 9000.0)
    breath = signal.sosfilt(
        signal.butter(1, [low, high], "bandpass", fs=RATE, output="sos"), rng.standard_normal(n_samples)
    )
    amounts = 10.0 ** rng.uniform([-1.8, -2.2], [-0.9, -1.2])
    audio = loud * (tone + amounts[0] * turbulence + amounts[1] * breath / breath.std())
    audio += 10.0 ** rng.uniform(-4.0, -2.7) * rng.standard_normal(n_samples)  # the microphone
    return np.asarray(audio * rng.uniform(0.05, 0.6) / np.abs(audio).max(), dtype=np.float32)


def _scoops(notes: Sequence[Note], times: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Draw the glides into notes after a silence, mostly from below."""
    bend = np.zeros(len(times))
    chance, size = rng.uniform(0.0, 0.8), rng.uniform(0.3, 2.0)
    for number, note in enumerate(notes):
        is_first = number == 0 or note.onset - notes[number - 1].offset > 0.02
        if is_first and rng.random() < chance:
            inside = (times >= note.onset - 0.02) & (times < note.offset)
            fade = rng.uniform(0.01, 0.035)
            bend[inside] -= size * rng.normal(1.0, 0.4) * np.exp(-np.maximum(times[inside] - note.onset, 0.0) / fade)
    return bend


def _vibrato(notes: Sequence[Note], times: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Draw the vibrato of long notes: up to half a semitone either way, at 4 to 7 Hz."""
    depth, rate, chance = rng.uniform(0.0, 0.5), rng.uniform(4.0, 7.0), rng.uniform(0.0, 1.0)
    depths = np.zeros(len(times))
    for note in notes:
        if note.duration > 0.35 and rng.random() < chance:
            depths[(times >= note.onset + 0.15) & (times < note.offset)] = depth
    return np.asarray(ndimage.gaussian_filter1d(depths, 40.0) * np.sin(2.0 * np.pi * rate * times))


def _drift(n_frames: int, rng: Generator) -> NDArray[np.float64]:
    slow = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), 0.1 * CONTROL_RATE)
    return np.asarray(rng.uniform(0.03, 0.12) * slow / slow.std())


def _frames(seconds: float) -> int:
    return max(1, round(seconds * CONTROL_RATE))
