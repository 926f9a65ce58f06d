"""Control curves of glottis and mouth: loudness, formants, breath and consonant noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from hf_model.singer.phonetics import CONSONANTS, HUM
from hf_model.singer.phrasing import PlannedNote
from hf_model.singer.vocal_tract import CONTROL_RATE, NASAL_POLE, Controls, Noise, frames_between
from hf_model.singer.voice import N_FORMANTS, UPPER_FORMANTS, Voice

Curve = NDArray[np.float64]

HUM_FORMANTS = (270.0, 1050.0, 2200.0)


def articulate(planned: Sequence[PlannedNote], pitch: Curve, vibrato: Curve, voice: Voice, rng: Generator) -> Controls:
    """Draw all control curves from the planned notes and the pitch.

    Parameters
    ----------
    pitch, vibrato : ndarray, shape (frame,)
        From :func:`hf_model.singer.intonation.pitch_curve`; creak lowers the pitch further.
    """
    n_frames = len(pitch)
    loudness = loudness_curve(planned, voice, n_frames, rng) * (1.0 + voice.tremolo * 0.5 * vibrato)
    tract = _VocalTract(voice, n_frames, rng)
    for i, note in enumerate(planned):
        tract.add_vowel(note, planned[i + 1].start if i + 1 < len(planned) else n_frames / CONTROL_RATE)
        tract.add_consonant(note)
        tract.add_coda(note)
        last = i + 1 == len(planned) or planned[i + 1].start - note.offset > 0.2
        if last:
            tract.add_exhalation(note)
    tract.add_inhalations(planned)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    formants, nasal_zero = tract.smoothed()
    formants[:, 0] = np.maximum(formants[:, 0], f0 * 1.02)  # singers raise F1 to keep the fundamental
    formants[:, 1] = np.maximum(formants[:, 1], formants[:, 0] + 200.0)
    breath = ndimage.gaussian_filter1d(tract.breath, 1.0) + voice.breathiness * loudness
    tilt = np.maximum(voice.tilt_hz * np.clip(loudness, 0.05, 3.0) ** 0.7, f0) * tract.openness
    creak = _creak(planned, voice, n_frames, rng)
    return Controls(pitch - 3.0 * creak**2, loudness, breath, formants, nasal_zero, tilt, creak, tract.noises)


def loudness_curve(planned: Sequence[PlannedNote], voice: Voice, n_frames: int, rng: Generator) -> Curve:
    """Draw the strength (frame,) of the voice, linear: about 1 in a note and 0 in silence."""
    times = np.arange(n_frames) / CONTROL_RATE
    curve = np.zeros(n_frames)
    decay = rng.normal(0.1, 0.25)
    for i, note in enumerate(planned):
        held = i + 1 < len(planned) and planned[i + 1].bound
        duration = note.offset - note.voice_start
        part = frames_between(note.voice_start, note.offset, n_frames)
        t = times[part]
        where = (t - note.voice_start) / duration
        shape = 1.0 + rng.normal(0.0, 0.15) * np.sin(np.pi * where) - rng.normal(decay, 0.25) * where
        level = note.level * np.clip(shape, 0.25, 2.0)
        if not note.bound:
            attack = min(voice.attack * rng.uniform(0.6, 1.5), 0.25 * duration)
            level *= np.clip((t - note.voice_start) / attack, 0.0, 1.0) ** 0.7
        elif note.dip < 1.0:
            width = rng.uniform(0.015, 0.035)
            fading = frames_between(note.onset - 0.12, note.onset, n_frames)
            curve[fading] *= 1.0 - (1.0 - note.dip) * np.exp(-0.5 * ((times[fading] - note.onset) / width) ** 2)
            level *= 1.0 - (1.0 - note.dip) * np.exp(-0.5 * ((t - note.onset) / width) ** 2)
        if not held:
            release = min(voice.release * rng.uniform(0.6, 1.5), 0.35 * duration)
            level *= np.clip((note.offset - t) / release, 0.0, 1.0)
        if note.syllable.coda and CONSONANTS[note.syllable.coda].sonorant:
            begin = coda_start(note)
            level *= np.where(t > begin, CONSONANTS[note.syllable.coda].voice, 1.0)
        curve[part] = level
        if note.syllable.consonant:
            sound = CONSONANTS[note.syllable.consonant]
            voiced = frames_between(note.start, note.onset, n_frames)
            strength = min(sound.voice * rng.lognormal(0.0, 0.3), 1.0)
            if sound.sonorant:  # some singers lose little: the nasal murmur carries the lowest partials
                curve[voiced] *= min(sound.voice ** rng.uniform(0.0, 1.3) * rng.lognormal(0.0, 0.2), 1.2)
            elif sound.voice:
                curve[voiced] = np.maximum(curve[voiced], strength * note.level)
    ripple = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), CONTROL_RATE / 20.0)
    slow = ndimage.gaussian_filter1d(rng.standard_normal(n_frames), CONTROL_RATE / rng.uniform(15.0, 50.0))
    wander = rng.uniform(0.2, 0.8) * ripple / (np.std(ripple) + 1e-9) + voice.unsteady_db * slow / (np.std(slow) + 1e-9)
    curve *= 10.0 ** (np.clip(wander, -2.5 * voice.unsteady_db - 2.0, 2.5 * voice.unsteady_db + 2.0) / 20.0)
    return np.asarray(ndimage.convolve1d(curve, np.array([0.25, 0.5, 0.25]), mode="constant"))


def coda_start(note: PlannedNote) -> float:
    """Seconds; start of a nasal or lateral at the end of a note."""
    duration = note.offset - note.onset
    return note.offset - min(0.12, 0.3 * duration)


def _creak(planned: Sequence[PlannedNote], voice: Voice, n_frames: int, rng: Generator) -> Curve:
    """Draw the creak (frame,), 0-1, at the ends of low phrases."""
    creak = np.zeros(n_frames)
    times = np.arange(n_frames) / CONTROL_RATE
    for i, note in enumerate(planned):
        last = i + 1 == len(planned) or planned[i + 1].start - note.offset > 0.15
        if last and note.pitch < 69 and rng.random() < voice.creak:
            length = min(rng.uniform(0.05, 0.2), 0.35 * (note.offset - note.onset))
            part = frames_between(note.offset - length, note.offset, n_frames)
            creak[part] = rng.uniform(0.4, 0.9) * np.clip((times[part] - note.offset + length) / length, 0.0, 1.0)
    return creak


class _VocalTract:
    """Curves of the vocal tract, drawn note by note."""

    def __init__(self, voice: Voice, n_frames: int, rng: Generator) -> None:
        self.voice = voice
        self.n_frames = n_frames
        self.rng = rng
        self.tract = float(np.mean(voice.upper[2:] / np.array(UPPER_FORMANTS[2:])))
        self.formants = np.empty((n_frames, N_FORMANTS))
        self.formants[:, :3] = voice.vowels["@"]
        self.formants[:, 3:] = voice.upper
        self.nasal_zero = np.full(n_frames, NASAL_POLE)
        self.breath = np.zeros(n_frames)
        self.openness = np.ones(n_frames)
        self.noises: list[Noise] = []
        self.spread = np.exp(rng.normal(0.0, 0.06, len(CONSONANTS)))
        self.hum = self.tract * np.array(HUM_FORMANTS) * np.exp(rng.normal(0.0, 0.12, 3))
        self.hum_zero = self._zero(1000.0 * float(np.exp(rng.normal(0.0, 0.25))), float(rng.uniform(0.3, 1.0)))
        self.closing = float(rng.uniform(0.1, 0.8))
        self.murmur = float(rng.uniform(0.0, 0.6))
        self.noise_level = float(rng.lognormal(-0.4, 0.5))
        self.inhalation_chance = float(rng.uniform(0.0, 1.0))

    def _frames(self, start: float, end: float) -> slice:
        return frames_between(start, end, self.n_frames)

    @staticmethod
    def _zero(frequency: float, share: float) -> float:
        """Antiformant (Hz) with a share (0-1) of the attenuation in dB of one at ``frequency``."""
        return NASAL_POLE * float((frequency / NASAL_POLE) ** np.clip(share, 0.0, 1.0))

    def _murmur(self, frequency: float) -> float:
        """Draw the antiformant (Hz) of a nasal or lateral: the attenuation of upper partials varies between singers."""
        return self._zero(frequency, self.murmur + self.rng.normal(0.0, 0.15))

    def _sonorant(self, name: str, vowel: Curve) -> Curve:
        """Draw the formants (3,) of a nasal, lateral or glide: between the vowel and the consonant's target."""
        share = np.clip(self.closing + self.rng.normal(0.0, 0.1), 0.1, 1.0)
        return np.asarray(vowel ** (1.0 - share) * (self.tract * np.array(CONSONANTS[name].formants)) ** share)

    def add_vowel(self, note: PlannedNote, until: float) -> None:
        part = self._frames(note.onset, until)
        if note.syllable.vowel == HUM:
            self.formants[part, :3] = self.hum
            self.nasal_zero[part] = self.hum_zero
            return
        wobble = np.exp(self.rng.normal(0.0, 0.03, 3))
        before = self.formants[max(0, part.start - 1), :3].copy()
        first = self.voice.vowels[note.syllable.vowel] * wobble
        self.formants[part, :3] = first
        self.nasal_zero[part] = NASAL_POLE + 250.0 * self.voice.nasality
        duration = note.offset - note.onset
        if note.bound and not note.syllable.consonant:
            self._change(note.onset, before, first, min(self.rng.uniform(0.03, 0.2), 0.6 * duration))
        if note.syllable.vowel_end:
            second = self.voice.vowels[note.syllable.vowel_end]
            if second[0] > first[0]:  # the mouth opens: the first vowel is short, or it would be a note of its own
                turn = note.onset + min(self.rng.uniform(0.02, 0.1), 0.3 * duration)
                length = self.rng.uniform(0.03, 0.1)
            else:
                turn = note.onset + self.rng.uniform(0.4, 0.95) * duration
                length = self.rng.uniform(0.05, 0.25)
            self.formants[self._frames(turn, until), :3] = second
            self._change(turn, first, second, min(length, 0.6 * duration))

    def _change(self, at: float, before: Curve, after: Curve, length: float) -> None:
        """Interpolate the formants (3,) from one vowel to another around ``at`` (seconds), over ``length`` seconds."""
        part = self._frames(at - 0.35 * length, at + 0.65 * length)
        share = (0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, part.stop - part.start)))[:, None]
        self.formants[part, :3] = before ** (1.0 - share) * after**share

    def add_consonant(self, note: PlannedNote) -> None:
        if not note.syllable.consonant:
            return
        sound = CONSONANTS[note.syllable.consonant]
        part = self._frames(note.start, note.onset)
        if note.syllable.vowel == HUM:
            self.formants[part, :3] = self.hum
            self.nasal_zero[part] = self.hum_zero
        elif sound.sonorant:
            self.formants[part, :3] = self._sonorant(note.syllable.consonant, self.voice.vowels[note.syllable.vowel])
        elif note.syllable.consonant != "h":  # h is a whispered vowel
            self.formants[part, :3] = self.tract * np.array(sound.formants)
        else:
            self.formants[part, :3] = self.voice.vowels[note.syllable.vowel]
        if sound.nasal_zero:
            self.nasal_zero[part] = self._murmur(sound.nasal_zero)
        if sound.voice:
            self.openness[part] = self.rng.uniform(0.4, 0.9) if sound.sonorant else 0.3
        opening = note.start + sound.closure * (note.onset - note.start)
        if sound.breath:
            strength = sound.breath * note.level * self.rng.lognormal(0.0, 0.4)
            self.breath[self._frames(opening, note.onset)] = strength
        self._add_noise(note.syllable.consonant, opening, note.onset + 0.012, note.level)

    def add_coda(self, note: PlannedNote) -> None:
        if not note.syllable.coda or note.syllable.vowel == HUM:
            return
        sound = CONSONANTS[note.syllable.coda]
        if sound.sonorant:
            part = self._frames(coda_start(note), note.offset)
            self.formants[part, :3] = self._sonorant(
                note.syllable.coda, self.formants[max(0, part.start - 1), :3].copy()
            )
            self.nasal_zero[part] = self._murmur(sound.nasal_zero) if sound.nasal_zero else NASAL_POLE
        else:
            length = self.rng.uniform(0.02, 0.12)
            self._add_noise(note.syllable.coda, note.offset - 0.01, note.offset + length, 0.5 * note.level)

    def _add_noise(self, name: str, start: float, end: float, level: float) -> None:
        sound = CONSONANTS[name]
        if not sound.noise:
            return
        centre = sound.noise_hz * self.spread[list(CONSONANTS).index(name)] * self.tract**0.5
        strength = sound.noise * level * self.noise_level * self.rng.lognormal(0.0, 0.3)
        attack = 0.05 if sound.closure else 0.35
        self.noises.append(Noise(start, end, centre, sound.noise_width, strength, attack))

    def add_exhalation(self, note: PlannedNote) -> None:
        if self.voice.exhale:
            length = self.rng.uniform(0.05, 0.25)
            part = self._frames(note.offset - 0.05, note.offset + length)
            fade = np.linspace(1.0, 0.0, part.stop - part.start)
            self.breath[part] += self.voice.exhale * note.level * np.minimum(fade, 4.0 * (1.0 - fade))

    def add_inhalations(self, planned: Sequence[PlannedNote]) -> None:
        """Add breaths before phrases, some with a click of the lips."""
        previous = 0.0
        for note in planned:
            room = note.start - previous
            if room > 0.25 and self.rng.random() < self.inhalation_chance:
                length = self.rng.uniform(0.12, min(0.6, room - 0.08))
                end = note.start - self.rng.uniform(0.02, 0.08)
                part = self._frames(end - length, end)
                swell = np.sin(np.pi * np.linspace(0.0, 1.0, part.stop - part.start)) ** 0.7
                self.breath[part] += 10.0 ** self.rng.uniform(-2.6, -1.0) * swell
                self.formants[part, :3] = self.voice.vowels["@"] * np.exp(self.rng.normal(0.0, 0.15, 3))
                if self.rng.random() < 0.3:
                    click = end - length - self.rng.uniform(0.0, 0.05)
                    level = 10.0 ** self.rng.uniform(-2.2, -1.0)
                    self.noises.append(Noise(click, click + 0.012, self.rng.uniform(1200, 4000), 2500.0, level, 0.1))
            previous = max(previous, note.offset)

    def smoothed(self) -> tuple[Curve, Curve]:
        """Return formants (frame, 8) and antiformant (frame,), smoothed to the speed of articulation."""
        width = 0.4 * self.voice.smear * CONTROL_RATE
        formants = self.formants.copy()
        formants[:, :3] = ndimage.gaussian_filter1d(np.log(self.formants[:, :3]), width, axis=0)
        formants[:, :3] = np.exp(formants[:, :3])
        return formants, ndimage.gaussian_filter1d(self.nasal_zero, 1.5)
