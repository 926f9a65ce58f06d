"""How a score is sung: syllables, timing, pitch and loudness curves, and the notes that are really heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from hf_model.consonants import CONSONANTS, draw_style, draw_syllable
from hf_model.notes import Note
from hf_model.vocal_tract import CONTROL_RATE, Controls, Noise
from hf_model.voices import N_FORMANTS, Voice, draw_voice

_HUM = "m"


@dataclass(frozen=True)
class Sung:
    """One note as this singer does it.

    Attributes
    ----------
    onset, offset : float
        Seconds, where a person marks them.
    pitch : float
        MIDI number aimed at, with this singer's error.
    level : float
        Linear strength, about 1.
    consonant, vowel, vowel_end : str
        Names of ``consonants.CONSONANTS`` and ``voices.VOWELS``; "" for none; the vowel "m" is a hum.
    start : float
        Seconds; where the consonant begins (``onset`` without one).
    bound : bool
        The voice does not stop between the note before and this one.
    """

    onset: float
    offset: float
    pitch: float
    level: float
    consonant: str
    vowel: str
    vowel_end: str
    start: float
    bound: bool = False

    @property
    def voice_start(self) -> float:
        """Seconds; where the voice of this note begins."""
        return self.onset


def plan(score: Sequence[Note], voice: Voice, rng: Generator, lead: float) -> list[Sung]:
    """Decide syllable, intonation, loudness and articulation of every note (times moved by ``lead`` seconds)."""
    style = draw_style(rng)
    dip_chance = rng.uniform(0.2, 1.0)
    pitches = np.array([note.pitch for note in score])
    keynote = float(rng.choice(np.rint(pitches)))
    sung: list[Sung] = []
    for i, note in enumerate(score):
        degree = int(np.argmin(np.abs(np.array([0, 2, 4, 5, 7, 9, 11]) - (round(note.pitch) - keynote) % 12)))
        consonant, vowel, vowel_end = draw_syllable(rng, style, degree)
        if voice.kind == "whistle":
            consonant, vowel, vowel_end = "", "u", ""
        gap = note.onset - score[i - 1].offset if i else 1.0
        repeated = i > 0 and abs(note.pitch - score[i - 1].pitch) < 0.5
        if i and gap < 0.02 and not repeated and style in ("words", "syllable") and rng.random() < 0.15:
            consonant, vowel, vowel_end = "", sung[-1].vowel, ""  # melisma
        onset, offset = note.onset + lead, note.offset + lead
        length = _consonant_length(consonant, offset - onset, rng)
        sonorant = bool(consonant) and CONSONANTS[consonant].sonorant
        start = onset if sonorant else onset - length
        error = voice.tuning + rng.normal(0.0, voice.error_cents) / 100.0 + voice.tempo_drift_cents * onset / 6000.0
        level = 10.0 ** ((rng.normal(0.0, voice.dynamics_db) + (note.velocity - 80) * 0.3) / 20.0)
        bound = False
        if sung:
            bound = _bind(sung, start, onset, consonant, repeated, dip_chance, voice, rng)
        elif start < 0.0:
            start = 0.0
        if offset - onset > 0.15 and rng.random() > voice.legato:
            offset = onset + (offset - onset) * rng.uniform(0.6, 0.95)
        sung.append(Sung(onset, offset, note.pitch + error, level, consonant, vowel, vowel_end, start, bound))
    return sung


def _consonant_length(consonant: str, duration: float, rng: Generator) -> float:
    if not consonant:
        return 0.0
    sound = CONSONANTS[consonant]
    return float(min(rng.uniform(sound.low, sound.high), 0.5 * duration + 0.02))


def _bind(
    sung: list[Sung],
    start: float,
    onset: float,
    consonant: str,
    repeated: bool,
    dip_chance: float,
    voice: Voice,
    rng: Generator,
) -> bool:
    """End the note before where the new one needs room; tell whether the voice goes on without a stop."""
    before = sung[-1]
    end = min(before.offset, start)
    free = onset - end
    sonorant = not consonant or CONSONANTS[consonant].sonorant
    bound = free < 0.03 and sonorant
    if bound and not consonant and (repeated or rng.random() > voice.legato):
        bound = False
        if rng.random() < dip_chance or repeated:
            end -= rng.uniform(0.03, 0.09)
    end = max(end, before.onset + 0.05)
    sung[-1] = replace(before, offset=end if not bound else onset)
    return bound


def perform(
    score: Sequence[Note], seed_rng: Generator, lead: float, n_seconds: float
) -> tuple[Controls, list[Note], Voice]:
    """Sing a score: control curves, the notes really sung, and who sang."""
    rng = seed_rng
    voice = draw_voice(rng, np.array([note.pitch for note in score]))
    sung = plan(score, voice, rng, lead)
    n_frames = int(n_seconds * CONTROL_RATE) + 2
    times = np.arange(n_frames) / CONTROL_RATE
    loudness = _loudness(sung, voice, times, rng)
    pitch = _pitch(sung, voice, times, rng)
    formants, nasal_zero, breath, noises = _mouth(sung, voice, times, rng)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    formants[:, 0] = np.maximum(formants[:, 0], f0 * 1.02)
    formants[:, 1] = np.maximum(formants[:, 1], formants[:, 0] + 200.0)
    breath = breath + voice.breathiness * loudness
    noises += _breaths(sung, voice, rng)
    tilt = voice.tilt_hz * np.clip(loudness, 0.05, 3.0) ** 0.7
    controls = Controls(pitch, loudness, breath, formants, nasal_zero, tilt, np.zeros(n_frames), noises)
    return controls, _heard(sung, pitch, loudness), voice


def _window(times: NDArray[np.float64], start: float, end: float) -> slice:
    rate = CONTROL_RATE
    first = max(0, int(np.ceil(start * rate)))
    return slice(first, max(first, min(len(times), int(np.ceil(end * rate)))))


def _loudness(
    sung: Sequence[Sung], voice: Voice, times: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    curve = np.zeros(len(times))
    for i, note in enumerate(sung):
        next_bound = i + 1 < len(sung) and sung[i + 1].bound
        part = _window(times, note.onset, note.offset)
        t = times[part]
        where = (t - note.onset) / (note.offset - note.onset)
        shape = 1.0 + rng.normal(0.0, 0.12) * np.sin(np.pi * where) + rng.normal(-0.1, 0.15) * where
        level = note.level * np.maximum(shape, 0.3)
        if not note.bound:
            attack = min(voice.attack * rng.uniform(0.6, 1.5), 0.3 * (note.offset - note.onset))
            level *= np.clip((t - note.onset) / attack, 0.0, 1.0) ** 0.7
        if not next_bound:
            release = min(voice.release * rng.uniform(0.6, 1.5), 0.4 * (note.offset - note.onset))
            level *= np.clip((note.offset - t) / release, 0.0, 1.0)
        curve[part] = level
        if note.consonant:
            sound = CONSONANTS[note.consonant]
            if sound.sonorant:
                length = rng.uniform(sound.low, sound.high)
                curve[_window(times, note.onset, note.onset + length)] *= sound.voice
            elif sound.voice:
                murmur = _window(times, note.start, note.onset - 0.01)
                curve[murmur] = np.maximum(curve[murmur], sound.voice * note.level)
    return np.asarray(ndimage.convolve1d(curve, np.array([0.25, 0.5, 0.25]), mode="constant"))


def _step(x: NDArray[np.float64], overshoot: float) -> NDArray[np.float64]:
    """Smooth step from 0 to 1 around x = 0, one unit wide, with an overshoot that rings off."""
    rise = 0.5 + 0.5 * np.sin(np.pi * np.clip(x, -0.5, 0.5))
    after = np.maximum(x - 0.2, 0.0)
    return np.asarray(rise + overshoot * np.sin(np.minimum(after * 2.2, np.pi)) * (x > 0.2))


def _pitch(sung: Sequence[Sung], voice: Voice, times: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    curve = np.full(len(times), sung[0].pitch)
    for i, note in enumerate(sung):
        duration = note.offset - note.onset
        if i:
            before = sung[i - 1]
            glide = min(voice.glide * rng.uniform(0.6, 1.5), 0.6 * duration)
            if not note.bound:
                glide = 0.02
            middle = note.onset + glide * rng.uniform(-0.2, 0.35) if note.bound else note.onset - 0.02
            near = _window(times, middle - glide, times[-1] + 1.0)
            curve[near] += (note.pitch - before.pitch) * _step((times[near] - middle) / glide, voice.overshoot)
        if not note.bound and rng.random() < voice.scoop_chance:
            size = voice.scoop_cents / 100.0 * rng.normal(1.0, 0.4) * (1.0 if rng.random() < 0.85 else -1.0)
            fade = rng.uniform(0.015, 0.2 * min(duration, 0.5) + 0.02)
            part = _window(times, note.onset - 0.1, note.offset)
            curve[part] -= size * np.exp(-np.maximum(times[part] - note.onset, 0.0) / fade)
        if rng.random() < voice.fall_chance and not (i + 1 < len(sung) and sung[i + 1].bound):
            length = min(0.15, 0.3 * duration)
            part = _window(times, note.offset - length, note.offset)
            curve[part] -= rng.uniform(0.2, 3.0) * ((times[part] - note.offset + length) / length) ** 2
        if duration > voice.vibrato_delay + 0.15 and rng.random() < voice.vibrato_chance:
            part = _window(times, note.onset, note.offset)
            t = times[part] - note.onset
            depth = voice.vibrato_cents / 100.0 * rng.normal(1.0, 0.2)
            ramp = np.clip((t - voice.vibrato_delay) / 0.25, 0.0, 1.0)
            rate = voice.vibrato_rate * rng.normal(1.0, 0.04)
            curve[part] += depth * ramp * np.sin(2.0 * np.pi * rate * t + rng.uniform(0, 6.28))
    drift = ndimage.gaussian_filter1d(rng.standard_normal(len(times)), CONTROL_RATE / (4.0 * voice.drift_rate))
    return np.asarray(curve + voice.drift_cents / 100.0 * drift / (np.std(drift) + 1e-9))


def _mouth(
    sung: Sequence[Sung], voice: Voice, times: NDArray[np.float64], rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], list[Noise]]:
    """Formants (frame, 8), antiformant (frame,), aspiration (frame,) and bursts of noise."""
    formants = np.empty((len(times), N_FORMANTS))
    formants[:, :3] = voice.vowels["@"]
    formants[:, 3:] = voice.upper
    tract = float(np.mean(voice.upper[2:] / np.array([5350.0, 6400.0, 7500.0])))
    nasal_zero = np.full(len(times), 270.0)
    breath = np.zeros(len(times))
    noises: list[Noise] = []
    for i, note in enumerate(sung):
        until = sung[i + 1].start if i + 1 < len(sung) else times[-1]
        part = _window(times, note.onset, until)
        humming = note.vowel == _HUM
        target = tract * np.array(CONSONANTS["m"].formants) if humming else voice.vowels[note.vowel]
        formants[part, :3] = target
        if humming:
            nasal_zero[part] = 1000.0
        if note.vowel_end:
            turn = note.onset + rng.uniform(0.4, 0.7) * (note.offset - note.onset)
            formants[_window(times, turn, until), :3] = voice.vowels[note.vowel_end]
        if note.consonant:
            _articulate(note, tract, times, rng, formants, nasal_zero, breath, noises)
    formants[:, :3] = ndimage.gaussian_filter1d(formants[:, :3], 0.4 * voice.smear * CONTROL_RATE, axis=0)
    nasal_zero = ndimage.gaussian_filter1d(nasal_zero, 1.0)
    return formants, nasal_zero, ndimage.gaussian_filter1d(breath, 1.0), noises


def _articulate(
    note: Sung,
    tract: float,
    times: NDArray[np.float64],
    rng: Generator,
    formants: NDArray[np.float64],
    nasal_zero: NDArray[np.float64],
    breath: NDArray[np.float64],
    noises: list[Noise],
) -> None:
    """Write one consonant into the curves."""
    sound = CONSONANTS[note.consonant]
    start, end = (note.onset, note.onset + sound.low) if sound.sonorant else (note.start, note.onset)
    part = _window(times, start, end)
    formants[part, :3] = tract * np.array(sound.formants)
    if sound.nasal_zero:
        nasal_zero[part] = sound.nasal_zero
    opening = start + sound.closure * (end - start)
    if sound.breath:
        breath[_window(times, opening, end)] = sound.breath * note.level
    if sound.noise:
        level = sound.noise * note.level * rng.lognormal(-0.5, 0.5) * 0.3
        attack = 0.05 if sound.closure else 0.3
        noises.append(Noise(opening, end + 0.01, sound.noise_hz * rng.normal(1.0, 0.06), sound.noise_width, level, attack))


def _breaths(sung: Sequence[Sung], voice: Voice, rng: Generator) -> list[Noise]:
    """Audible breaths before phrases."""
    noises = []
    habit = rng.uniform(0.0, 1.0)
    previous = 0.0
    for note in sung:
        room = note.start - previous
        if room > 0.3 and rng.random() < habit:
            length = rng.uniform(0.15, min(0.6, room - 0.1))
            end = note.start - rng.uniform(0.02, 0.08)
            level = 0.3 * 10.0 ** rng.uniform(-2.0, -0.9)
            noises.append(Noise(end - length, end, rng.uniform(900, 3000), rng.uniform(1500, 4000), level, 0.4))
        previous = note.offset
    return noises


def _heard(sung: Sequence[Sung], pitch: NDArray[np.float64], loudness: NDArray[np.float64]) -> list[Note]:
    """The notes as they came out: pitch from the curve's steady part, velocity from the loudness."""
    steady = []
    for note in sung:
        length = note.offset - note.onset
        first = int((note.onset + min(0.3 * length, 0.15)) * CONTROL_RATE)
        last = max(first + 1, int((note.offset - min(0.2 * length, 0.1)) * CONTROL_RATE))
        strength = np.sqrt(np.mean(loudness[first:last] ** 2) + 1e-9)
        steady.append((float(np.mean(pitch[first:last])), float(strength)))
    middle = float(np.median([strength for _, strength in steady]))
    notes = []
    for note, (sung_pitch, strength) in zip(sung, steady, strict=True):
        velocity = int(np.clip(round(80 + 2.5 * 20.0 * np.log10(strength / middle)), 20, 120))
        notes.append(Note(note.onset, note.offset, float(np.clip(sung_pitch, 0, 127)), velocity))
    return notes
