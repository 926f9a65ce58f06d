"""Control curves of the vocal tract for timed syllables: no random draws, except for a slight unsteadiness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from hf_model.lyrics.timing import TimedConsonant, TimedSyllable
from hf_model.singer.vocal_tract import CONTROL_RATE, NASAL_POLE, Controls, Noise, frames_between
from hf_model.singer.voice import N_FORMANTS, Voice

Curve = NDArray[np.float64]

LEGATO_GAP = 0.03
"""Seconds: a shorter gap between notes does not end the voice."""

LOUDNESS_DB = 0.15
"""Level a step of velocity, from 80."""

DIPHTHONG_SHARE = 0.7
"""Where in the vowel its second part begins."""


def articulate(timed: Sequence[TimedSyllable], voice: Voice, n_frames: int, rng: Generator) -> Controls:
    """Build the control curves of timed syllables, at ``CONTROL_RATE``."""
    pitch, vibrato = _pitch(timed, voice, n_frames, rng)
    tract = _Tract(voice, n_frames)
    for index, syllable in enumerate(timed):
        tract.add(syllable, timed[index + 1] if index + 1 < len(timed) else None)
    loudness = ndimage.gaussian_filter1d(tract.loudness, 1.5) * (1.0 + 0.5 * voice.tremolo * vibrato)
    loudness *= 10.0 ** (_wander(n_frames, 6.0, voice.unsteady_db, rng) / 20.0)
    formants = tract.formants.copy()
    formants[:, :3] = np.exp(
        ndimage.gaussian_filter1d(np.log(formants[:, :3]), 0.35 * voice.smear * CONTROL_RATE, axis=0)
    )
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    formants[:, 0] = np.maximum(formants[:, 0], 1.02 * f0)  # singers raise F1 to keep the fundamental
    formants[:, 1] = np.maximum(formants[:, 1], formants[:, 0] + 200.0)
    breath = ndimage.gaussian_filter1d(tract.breath, 1.0) + voice.breathiness * loudness
    tilt = np.maximum(voice.tilt_hz * np.clip(loudness, 0.1, 2.0) ** 0.5, f0) * tract.openness
    nasal = ndimage.gaussian_filter1d(tract.nasal_zero, 1.5)
    return Controls(pitch, loudness, breath, formants, nasal, tilt, np.zeros(n_frames), tract.noises)


def _pitch(timed: Sequence[TimedSyllable], voice: Voice, n_frames: int, rng: Generator) -> tuple[Curve, Curve]:
    """Pitch (frame,) with glides and vibrato, and the vibrato alone, -1 to 1."""
    times = np.arange(n_frames) / CONTROL_RATE
    curve, vibrato = np.full(n_frames, timed[0].note.pitch), np.zeros(n_frames)
    for index, syllable in enumerate(timed):
        note = syllable.note
        begin = syllable.before[0].start if syllable.before else note.onset
        curve[times >= min(begin, note.onset)] = note.pitch
        if index:
            step = note.pitch - timed[index - 1].note.pitch
            at = begin if syllable.before else note.onset
            length = min(voice.glide, 0.5 * note.duration)
            part = frames_between(at - 0.3 * length, at + 0.7 * length, n_frames)
            rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((times[part] - at + 0.3 * length) / length, 0.0, 1.0))
            curve[part] = timed[index - 1].note.pitch + step * rise
        since = times - note.onset - voice.vibrato_delay
        held = (since > 0) & (times < note.offset)
        swell = np.clip(since[held] / 0.25, 0.0, 1.0)
        vibrato[held] = swell * np.sin(2.0 * np.pi * voice.vibrato_rate * since[held])
    cents = _wander(n_frames, voice.drift_rate, voice.drift_cents, rng)
    return curve + voice.vibrato_cents / 100.0 * vibrato + cents / 100.0, vibrato


def _wander(n_frames: int, rate: float, size: float, rng: Generator) -> Curve:
    """Slow noise (frame,) with standard deviation ``size``; ``rate`` in Hz."""
    noise = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), CONTROL_RATE / (4.0 * rate))
    return np.asarray(size * noise / (np.std(noise) + 1e-9))


class _Tract:
    """Curves of mouth and glottis, filled syllable by syllable."""

    def __init__(self, voice: Voice, n_frames: int) -> None:
        self.voice, self.n_frames = voice, n_frames
        self.tract = float(voice.upper[0] / 3400.0)
        self.formants = np.empty((n_frames, N_FORMANTS))
        self.formants[:, :3], self.formants[:, 3:] = voice.vowels["@"], voice.upper
        self.nasal_zero = np.full(n_frames, NASAL_POLE)
        self.loudness, self.breath, self.openness = np.zeros(n_frames), np.zeros(n_frames), np.ones(n_frames)
        self.noises: list[Noise] = []

    def add(self, syllable: TimedSyllable, following: TimedSyllable | None) -> None:
        level = 10.0 ** (LOUDNESS_DB * (syllable.note.velocity - 80) / 20.0)
        self._add_vowel(syllable, following, level)
        for consonant in (*syllable.before, *syllable.after):
            self._add_consonant(consonant, self.voice.vowels[syllable.vowel], level)

    def _add_vowel(self, syllable: TimedSyllable, following: TimedSyllable | None, level: float) -> None:
        part = frames_between(syllable.start, max(syllable.end, syllable.start + 0.02), self.n_frames)
        self.formants[part.start :, :3] = self.voice.vowels[syllable.vowel]
        if syllable.vowel_end:
            turn = syllable.start + DIPHTHONG_SHARE * (syllable.end - syllable.start)
            after = frames_between(turn, np.inf, self.n_frames)
            length = min(0.12, 0.5 * (syllable.end - turn))
            times = np.arange(after.start, self.n_frames) / CONTROL_RATE - turn
            share = (0.5 - 0.5 * np.cos(np.pi * np.clip(times / max(length, 1e-3), 0.0, 1.0)))[:, None]
            first, second = self.voice.vowels[syllable.vowel], self.voice.vowels[syllable.vowel_end]
            self.formants[after, :3] = first ** (1.0 - share) * second**share
        times = np.arange(part.start, part.stop) / CONTROL_RATE
        shape = np.full(len(times), level)
        if not syllable.is_held and not any(consonant.sound.sonorant for consonant in syllable.before[-1:]):
            shape *= np.clip((times - syllable.start) / self.voice.attack + 0.1, 0.0, 1.0) ** 0.7
        begins = following.before[0].start if following and following.before else following.start if following else None
        ends = begins is None or begins - syllable.end > LEGATO_GAP
        if ends and not syllable.after:
            release = min(self.voice.release, 0.4 * (syllable.end - syllable.start))
            shape *= np.clip((syllable.end - times) / max(release, 1e-3), 0.0, 1.0)
        elif not syllable.after and following and following.start > syllable.end and not following.before:
            self.loudness[frames_between(syllable.end, following.start, self.n_frames)] = level
        self.loudness[part] = shape

    def _add_consonant(self, consonant: TimedConsonant, vowel: Curve, level: float) -> None:
        sound = consonant.sound
        part = frames_between(consonant.start, consonant.end, self.n_frames)
        if consonant.name != "h":  # h is a whispered vowel
            target = self.tract * np.array(sound.formants)
            self.formants[part, :3] = vowel**0.25 * target**0.75
        else:
            self.formants[part, :3] = vowel
        self.loudness[part] = sound.voice * level
        if sound.nasal_zero:
            self.nasal_zero[part] = sound.nasal_zero
        if sound.voice:
            self.openness[part] = 0.6 if sound.sonorant else 0.3
        opening = consonant.start + sound.closure * (consonant.end - consonant.start)
        if sound.breath:
            self.breath[frames_between(opening, consonant.end, self.n_frames)] = sound.breath * level
        if sound.noise:
            attack = 0.05 if sound.closure else 0.3
            centre = sound.noise_hz * self.tract**0.5
            strength = sound.noise * level
            self.noises.append(Noise(opening, consonant.end + 0.008, centre, sound.noise_width, strength, attack))
