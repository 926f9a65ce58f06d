"""The pitch curve of a performance: glides, scoops, falls, vibrato, ornaments, drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from hf_model.singer.phonetics import CONSONANTS
from hf_model.singer.phrasing import PlannedNote
from hf_model.singer.vocal_tract import CONTROL_RATE, frames_between
from hf_model.singer.voice import Voice

Curve = NDArray[np.float64]


def pitch_curve(planned: Sequence[PlannedNote], voice: Voice, n_frames: int, rng: Generator) -> tuple[Curve, Curve]:
    """Draw the pitch of the planned notes.

    Returns
    -------
    pitch : ndarray, shape (frame,)
        MIDI number at ``CONTROL_RATE``, also in silences.
    vibrato : ndarray, shape (frame,)
        The vibrato alone, -1 to 1, which also modulates the loudness.
    """
    times = np.arange(n_frames) / CONTROL_RATE
    curve = np.zeros(n_frames)
    levels = np.zeros(n_frames + 1)
    levels[0] = planned[0].pitch
    swoops = rng.spawn(1)[0]
    vibrato, depth = _vibrato(planned, voice, times, rng)
    for i, note in enumerate(planned):
        if i:
            _add_glide(curve, levels, planned[i - 1], note, voice, rng)
        last = i + 1 == len(planned) or not planned[i + 1].bound
        quiet = planned[i - 1].offset if i else 0.0
        part = frames_between(max(note.voice_start - 0.1, min(quiet, note.voice_start)), note.offset, n_frames)
        t = times[part]
        if note.slide:
            where = np.clip((t - note.onset) / (note.offset - note.onset), 0.0, 1.0)
            curve[part] += note.slide * 0.5 * (1.0 - np.cos(np.pi * where))
        else:
            curve[part] += _shape(note, t, voice, last, rng) + _swoop(note, t, voice, swoops)
    drift = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), CONTROL_RATE / (4.0 * voice.drift_rate))
    flutter = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), CONTROL_RATE / 40.0)
    cents = voice.drift_cents * drift / (np.std(drift) + 1e-9)
    cents += 0.3 * voice.drift_cents * flutter / (np.std(flutter) + 1e-9)
    return np.cumsum(levels[:-1]) + curve + depth * vibrato + cents / 100.0, vibrato * (depth > 0)


def _step(x: Curve, overshoot: float) -> Curve:
    """Smooth step from 0 to 1 around x = 0, one unit wide, with a decaying overshoot."""
    rise = 0.5 + 0.5 * np.sin(np.pi * np.clip(x, -0.5, 0.5))
    after = np.clip((x - 0.15) / 1.5, 0.0, 1.0)
    return np.asarray(rise + overshoot * np.sin(np.pi * after))


def _add_glide(
    curve: Curve, levels: Curve, before: PlannedNote, note: PlannedNote, voice: Voice, rng: Generator
) -> None:
    """Add the glide from the previous pitch: its shape to ``curve``, the remaining step to ``levels``."""
    duration = note.offset - note.onset
    if not note.bound:
        glide, overshoot = 0.02, 0.0
        middle = 0.5 * (before.offset + note.voice_start)
    elif note.sonorant:
        glide = min(voice.glide * rng.uniform(0.6, 1.5), 0.6 * duration)
        middle, overshoot = rng.uniform(note.start, note.onset), voice.overshoot
    else:
        glide = min(voice.glide * rng.uniform(0.6, 1.5), 0.6 * duration)
        middle, overshoot = note.onset, voice.overshoot
    near = frames_between(middle - glide, middle + 1.8 * glide, len(curve))
    change = note.pitch - before.pitch
    times = np.arange(near.start, near.stop) / CONTROL_RATE
    curve[near] += change * _step((times - middle) / glide, overshoot)
    levels[near.stop] += change


def _shape(note: PlannedNote, t: Curve, voice: Voice, last: bool, rng: Generator) -> Curve:
    """Draw the pitch deviation within one note, in semitones at the times ``t``: scoop, drift, ornament, fall."""
    duration = note.offset - note.onset
    bend = np.zeros(len(t))
    where = np.clip((t - note.onset) / duration, 0.0, 1.0)
    bend += 0.01 * rng.normal(0.0, 1.5 * voice.drift_cents) * (where - 0.5)
    if not note.bound and rng.random() < voice.scoop_chance:
        size = voice.scoop_cents / 100.0 * rng.normal(1.0, 0.4) * (1.0 if rng.random() < 0.85 else -1.0)
        size = float(np.clip(size, -4.0, 4.0)) * min(1.0, duration / 0.25)
        fade = rng.uniform(0.015, 0.15 * min(duration, 0.6) + 0.02)
        bend -= size * np.exp(-np.maximum(t - note.voice_start, 0.0) / fade)
    bend += 0.01 * _microprosody(note, voice, rng) * np.exp(-np.maximum(t - note.onset, 0.0) / rng.uniform(0.02, 0.06))
    if duration > 0.3 and rng.random() < voice.late_chance:  # starts on a neighbouring pitch; still one note
        until = note.voice_start + rng.uniform(0.06, 0.4 * min(duration, 0.5))
        size = rng.uniform(0.7, 2.5) * (1.0 if rng.random() < 0.8 else -1.0)
        bend -= size * (1.0 - _step((t - until) / rng.uniform(0.03, 0.08), 0.0))
    if last and rng.random() < voice.fall_chance:
        length = min(rng.uniform(0.05, 0.2), 0.35 * duration)
        size = min(1.0, duration / 0.25) * rng.uniform(0.2, 4.0) * (1.0 if rng.random() < 0.9 else -0.5)
        bend -= size * np.clip((t - note.offset + length) / length, 0.0, None) ** 2
    if duration > 0.3 and rng.random() < voice.ornament_chance:
        size = rng.choice([-2.0, -1.0, 1.0, 2.0])
        length = rng.uniform(0.05, 0.09)
        after = note.onset + (rng.uniform(0.05, 0.12) if rng.random() < 0.5 else 0.0)
        bend += size * np.exp(-(((t - after - 0.5 * length) / (0.5 * length)) ** 4))
    return bend


def _swoop(note: PlannedNote, t: Curve, voice: Voice, rng: Generator) -> Curve:
    """Draw an onset glide from 2 to 9 semitones away, mostly from below, over up to the first half of a note."""
    duration = note.offset - note.onset
    if note.bound or duration < 0.25 or rng.random() > voice.swoop_chance:
        return np.zeros(len(t))
    size = rng.uniform(2.0, 9.0) * (1.0 if rng.random() < 0.85 else -0.5)
    fade = rng.uniform(0.03, 0.03 + 0.12 * min(duration, 0.7))
    return np.asarray(-size * np.exp(-np.maximum(t - note.voice_start, 0.0) / fade))


def _microprosody(note: PlannedNote, voice: Voice, rng: Generator) -> float:
    """Draw the cents by which the consonant raises or lowers the vowel's first pitch."""
    if not note.syllable.consonant or note.sonorant:
        return 0.0
    voiced = CONSONANTS[note.syllable.consonant].voice > 0.0
    return float(voice.microprosody_cents * rng.lognormal(0.0, 0.4) * (-1.0 if voiced else 1.0))


def _vibrato(planned: Sequence[PlannedNote], voice: Voice, times: Curve, rng: Generator) -> tuple[Curve, Curve]:
    """Draw one continuous oscillation (frame,) in -1..1 and its depth (frame,) in semitones."""
    wander = ndimage.gaussian_filter1d(rng.standard_normal(len(times)), CONTROL_RATE * 0.15)
    rate = voice.vibrato_rate * (1.0 + 0.05 * wander / (np.std(wander) + 1e-9))
    phase = 2.0 * np.pi * np.cumsum(rate) / CONTROL_RATE
    depth = np.zeros(len(times))
    for note in planned:
        if note.offset - note.onset < voice.vibrato_delay + 0.15 or rng.random() > voice.vibrato_chance:
            continue
        part = frames_between(note.onset, note.offset, len(times))
        t = times[part] - note.onset
        size = voice.vibrato_cents / 100.0 * max(0.3, rng.normal(1.0, 0.2))
        depth[part] = size * np.clip((t - voice.vibrato_delay) / 0.3, 0.0, 1.0)
    return np.sin(phase), np.asarray(ndimage.gaussian_filter1d(depth, 4.0))
