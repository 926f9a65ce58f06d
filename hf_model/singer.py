"""A singer made by arithmetic: a score and a seed in, singing and the exact notes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.config import check_choice, check_range
from hf_model.notes import Note
from hf_model.articulation import articulate
from hf_model.intonation import pitch_curve
from hf_model.phrasing import Sung, babble, plan
from hf_model.syllables import STYLES
from hf_model.vocal_tract import CONTROL_RATE, frames_between, render
from hf_model.voices import Voice, draw_voice

F0_RATE = 100.0
"""Frames a second of ``Song.f0``; frame m is centred on m / 100 s."""


@dataclass(frozen=True)
class SingerConfig:
    """Settings of the singer.

    Attributes
    ----------
    sample_rate : int
        Hz.
    max_lead, max_tail : float
        Longest silence before the first and after the last note, seconds; the length is drawn from the seed.
    speech : float
        Share of songs in which the singer speaks (or slides like a siren) before, between or after the notes.
    style : str
        What is sung on: a key of ``syllables.STYLES``, or "" to draw one.
    sonorant_onset, sonorant_offset : float
        Where in a nasal, lateral or glide between two bound notes the new note starts and the old one ends: 0 its
        begin, 1 the vowel's. People differ here; these values keep within 50 ms of most of them.
    """

    sample_rate: int = 16000
    max_lead: float = 1.0
    max_tail: float = 1.0
    speech: float = 0.15
    style: str = ""
    sonorant_onset: float = 0.75
    sonorant_offset: float = 0.25

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_range("sample_rate", self.sample_rate, 8000, 96000)
        check_range("max_lead", self.max_lead, 0.0, 30.0)
        check_range("max_tail", self.max_tail, 0.0, 30.0)
        check_range("speech", self.speech, 0.0, 1.0)
        check_choice("style", self.style, ("", *STYLES))
        check_range("sonorant_onset", self.sonorant_onset, 0.0, 1.0)
        check_range("sonorant_offset", self.sonorant_offset, 0.0, self.sonorant_onset)


@dataclass(frozen=True)
class Song:
    """Singing and the truth about it.

    Attributes
    ----------
    audio : ndarray, shape (sample,)
        float32 in [-1, 1].
    sample_rate : int
        Hz.
    notes : list of Note
        What was really sung, out of tune or not. The onset lies where a person marks it: at the vowel's start, for a
        nasal, a glide or a hum at the start of the new note's voice. The offset lies where the voice stops, or at
        the next onset in legato. The pitch is the mean of the note's steady part, as MIDI number.
    f0 : ndarray, shape (frame,)
        Hz at 100 frames a second, 0 where there is no voice.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    notes: list[Note]
    f0: NDArray[np.float64]


DEFAULT = SingerConfig()


def sing(score: Sequence[Note], seed: int, config: SingerConfig = DEFAULT) -> Song:
    """Sing a score with a voice drawn from the seed.

    Parameters
    ----------
    score : sequence of Note
        What should be sung; one note at a time.
    seed : int
        Decides who sings, on which syllables, and every detail; the same seed gives the same song.

    Raises
    ------
    ValueError
        For an empty score or notes that overlap.
    """
    notes = sorted(score)
    if not notes:
        msg = "score is empty; a song needs at least one note"
        raise ValueError(msg)
    for first, second in zip(notes, notes[1:], strict=False):
        if second.onset < first.offset - 0.005:
            msg = f"score has overlapping notes at {second.onset} s; one voice sings one note at a time"
            raise ValueError(msg)
    rng = np.random.default_rng([seed, 0x51461])
    voice = draw_voice(rng, np.array([note.pitch for note in notes]))
    sung, n_seconds = _all_sounds(notes, voice, config, rng)
    n_samples = round(n_seconds * config.sample_rate)
    n_frames = int(n_seconds * CONTROL_RATE) + 2
    pitch, vibrato = pitch_curve(sung, voice, n_frames, rng)
    controls = articulate(sung, pitch, vibrato, voice, rng)
    audio = render(controls, voice, config.sample_rate, n_samples, rng)
    audio *= 10.0 ** rng.uniform(-0.8, -0.05) / (np.max(np.abs(audio)) + 1e-9)
    times = np.arange(1 + int(n_samples * F0_RATE) // config.sample_rate) / F0_RATE
    frame_times = np.arange(n_frames) / CONTROL_RATE
    voiced = np.interp(times, frame_times, controls.voice) > 0.05
    f0 = np.where(voiced, 440.0 * 2.0 ** ((np.interp(times, frame_times, controls.pitch) - 69.0) / 12.0), 0.0)
    heard = _heard(sung, controls.pitch, controls.voice, audio, config)
    return Song(audio.astype(np.float32), config.sample_rate, heard, f0)


def _all_sounds(notes: Sequence[Note], voice: Voice, config: SingerConfig, rng: Generator) -> tuple[list[Sung], float]:
    """Sounds of the whole recording in order, and its length in seconds."""
    speaks = voice.kind != "whistle" and rng.random() < config.speech
    where = int(rng.integers(3)) if speaks else -1
    before, after = rng.uniform(0.5, 2.5) if where == 0 else 0.0, rng.uniform(0.5, 2.5) if where == 2 else 0.0
    silence = float(rng.uniform(0.1, 1.0)) * config.max_lead
    lead = before + silence - notes[0].onset
    sung = plan(notes, voice, rng, lead, config.style or None)
    end = sung[-1].offset
    n_seconds = end + after + 0.05 + float(rng.uniform(0.1, 1.0)) * config.max_tail
    if not speaks:
        return sung, n_seconds
    middle = float(np.median([note.pitch for note in notes]))
    if where == 0:
        return babble(0.05, before, voice, middle, rng) + sung, n_seconds
    if where == 2:
        return sung + babble(end + rng.uniform(0.1, 0.4), end + after, voice, middle, rng), n_seconds
    sounds: list[Sung] = []
    for note in sung:
        if sounds and note.start - sounds[-1].offset > 0.9 and rng.random() < 0.6:
            sounds += babble(sounds[-1].offset + 0.15, note.start - 0.2, voice, middle, rng)
        sounds.append(note)
    return sounds, n_seconds


def _heard(
    sung: Sequence[Sung],
    pitch: NDArray[np.float64],
    loudness: NDArray[np.float64],
    audio: NDArray[np.float64],
    config: SingerConfig,
) -> list[Note]:
    """The notes as they came out, measured on the curves and the sound."""
    onsets = [_onset(note, loudness, config) for note in sung]
    found: list[tuple[float, float, float, float]] = []
    for i, note in enumerate(sung):
        if not note.is_note:
            continue
        offset = _offset(note, loudness)
        if i + 1 < len(sung):
            following = sung[i + 1]
            if following.bound and following.sonorant:
                offset = following.start + config.sonorant_offset * (following.onset - following.start)
            elif following.bound and following.dip > 0.3:
                offset = onsets[i + 1]
            offset = min(offset, onsets[i + 1])
        offset = max(offset, onsets[i] + 0.03)
        part = slice(int(onsets[i] * config.sample_rate), int(offset * config.sample_rate) + 1)
        power = float(np.mean(audio[part] ** 2)) + 1e-12
        found.append((onsets[i], offset, _steady_pitch(pitch, onsets[i], offset), power))
    middle = float(np.median([power for *_, power in found]))
    return [
        Note(onset, offset, sung_pitch, int(np.clip(round(80 + 20.0 * np.log10(power / middle)), 20, 120)))
        for onset, offset, sung_pitch, power in found
    ]


def _onset(note: Sung, loudness: NDArray[np.float64], config: SingerConfig) -> float:
    """Where a person hears the note begin: where the voice has risen to a third of its strength."""
    if note.bound:
        return note.start + config.sonorant_onset * (note.onset - note.start)
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    risen = int(np.argmax(curve > 0.35 * np.quantile(curve, 0.8))) / CONTROL_RATE if len(curve) else 0.0
    if note.sonorant:
        return note.start + config.sonorant_onset * (note.onset - note.start)
    return note.onset + min(risen, 0.08)


def _offset(note: Sung, loudness: NDArray[np.float64]) -> float:
    """Where the voice has fallen to a third of what it was towards the note's end."""
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    if not len(curve):
        return note.offset
    sounding = np.flatnonzero(curve > 0.3 * np.quantile(curve[len(curve) // 2 :], 0.8))
    return max(note.offset - 0.12, (part.start + int(sounding[-1]) + 1) / CONTROL_RATE) if len(sounding) else note.offset


def _steady_pitch(pitch: NDArray[np.float64], onset: float, offset: float) -> float:
    """Mean pitch (MIDI number) of the note's middle, without the fifth of the values farthest out on each side."""
    length = offset - onset
    part = frames_between(onset + min(0.25 * length, 0.15), offset - min(0.2 * length, 0.12), len(pitch))
    values = np.sort(pitch[part if part.stop > part.start else slice(part.start, part.start + 1)])
    cut = len(values) // 5
    return float(np.clip(np.mean(values[cut : len(values) - cut]), 0.0, 127.0))
