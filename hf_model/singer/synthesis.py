"""Singing synthesis: a score and a seed give singing and its exact note labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.io import wavfile

from hf_model.config import check_choice, check_range
from hf_model.notes.note import Note
from hf_model.singer.articulation import articulate
from hf_model.singer.composition import twinkle
from hf_model.singer.intonation import pitch_curve
from hf_model.singer.note_labels import note_labels
from hf_model.singer.phonetics import STYLES
from hf_model.singer.phrasing import PlannedNote, plan_notes, plan_speech
from hf_model.singer.slurs import STYLE, add_trills, slur
from hf_model.singer.vocal_tract import CONTROL_RATE, render
from hf_model.singer.voice import Voice, draw_voice

EXAMPLE_SEED = 1223
"""Seed of the example in the repository."""

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
        Maximum silence before the first and after the last note, seconds; the durations are drawn from the seed.
    speech : float
        Fraction of songs with speech (or a siren) before, between or after the notes.
    slurred : float
        Fraction of songs on one vowel with bound notes: see :mod:`hf_model.singer.slurs`.
    style : str
        Singing style: a key of ``phonetics.STYLES``, or "" to draw one.
    sonorant_first, sonorant_onset, sonorant_offset : float
        Labelled times in a nasal, lateral or glide, 0 at its start and 1 at the vowel: the onset after a silence, the
        onset of a bound note, and the offset of the note before that. Annotators differ; the defaults are within 50 ms
        of most.
    """

    sample_rate: int = 16000
    max_lead: float = 1.0
    max_tail: float = 1.0
    speech: float = 0.22
    slurred: float = 0.0
    style: str = ""
    sonorant_first: float = 0.85
    sonorant_onset: float = 0.78
    sonorant_offset: float = 0.25

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("sample_rate", self.sample_rate, 8000, 96000)
        check_range("max_lead", self.max_lead, 0.0, 30.0)
        check_range("max_tail", self.max_tail, 0.0, 30.0)
        check_range("speech", self.speech, 0.0, 1.0)
        check_range("slurred", self.slurred, 0.0, 1.0)
        check_choice("style", self.style, ("", *STYLES))
        check_range("sonorant_first", self.sonorant_first, 0.0, 1.0)
        check_range("sonorant_onset", self.sonorant_onset, 0.0, 1.0)
        check_range("sonorant_offset", self.sonorant_offset, 0.0, self.sonorant_onset)


@dataclass(frozen=True)
class Song:
    """Synthetic singing with its labels.

    Attributes
    ----------
    audio : ndarray, shape (sample,)
        float32 in [-1, 1].
    sample_rate : int
        Hz.
    notes : list of Note
        As sung, out of tune or not. The onset is where annotators mark it: at the start of the vowel, or for a nasal, a
        glide or a hum at the start of the note's voice. The offset is the end of the voice, or the next onset in
        legato. The pitch is the mean of the note's steady part, as MIDI number.
    f0 : ndarray, shape (frame,)
        Hz at 100 frames per second, 0 where unvoiced.
    voice : str
        The kind of voice, a key of :data:`hf_model.singer.voice.KINDS`.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    notes: list[Note]
    f0: NDArray[np.float64]
    voice: str = ""


DEFAULT = SingerConfig()


def sing(score: Sequence[Note], seed: int, config: SingerConfig = DEFAULT) -> Song:
    """Sing a score with a voice drawn from the seed.

    Parameters
    ----------
    score : sequence of Note
        Monophonic.
    seed : int
        Determines voice, syllables and every detail; the same seed gives the same song.

    Raises
    ------
    ValueError
        For an empty score or notes that overlap.
    """
    notes = sorted(score)
    if not notes:
        msg = "score is empty; at least one note is needed"
        raise ValueError(msg)
    for first, second in pairwise(notes):
        if second.onset < first.offset - 0.005:
            msg = f"score has overlapping notes at {second.onset} s; one voice sings one note at a time"
            raise ValueError(msg)
    rng = np.random.default_rng([seed, 0x51461])
    voice = draw_voice(rng, np.array([note.pitch for note in notes]))
    slurs = np.random.default_rng([seed, 0x51C])  # apart, so that other songs stay as they are
    if slurs.random() < config.slurred:
        voice, notes, config = slur(voice, slurs), add_trills(notes, slurs), replace(config, style=STYLE)
    planned, n_seconds = _plan(notes, voice, config, rng)
    n_samples = round(n_seconds * config.sample_rate)
    n_frames = int(n_seconds * CONTROL_RATE) + 2
    pitch, vibrato = pitch_curve(planned, voice, n_frames, rng)
    controls = articulate(planned, pitch, vibrato, voice, rng)
    audio = render(controls, voice, config.sample_rate, n_samples, rng)
    audio *= 10.0 ** rng.uniform(-0.8, -0.05) / (np.max(np.abs(audio)) + 1e-9)
    times = np.arange(1 + int(n_samples * F0_RATE) // config.sample_rate) / F0_RATE
    frame_times = np.arange(n_frames) / CONTROL_RATE
    voiced = np.interp(times, frame_times, controls.voice) > 0.05
    f0 = np.where(voiced, 440.0 * 2.0 ** ((np.interp(times, frame_times, controls.pitch) - 69.0) / 12.0), 0.0)
    labels = note_labels(
        planned,
        controls,
        audio,
        config.sample_rate,
        config.sonorant_first,
        config.sonorant_onset,
        config.sonorant_offset,
    )
    return Song(audio.astype(np.float32), config.sample_rate, labels, f0, voice.kind)


def _plan(notes: Sequence[Note], voice: Voice, config: SingerConfig, rng: Generator) -> tuple[list[PlannedNote], float]:
    """Plan the whole recording: its sounds in order, and its duration in seconds."""
    speaks = voice.kind != "whistle" and rng.random() < config.speech
    where = int(rng.integers(3)) if speaks else -1
    before, after = rng.uniform(0.5, 2.5) if where == 0 else 0.0, rng.uniform(0.5, 2.5) if where == 2 else 0.0
    silence = float(rng.uniform(0.1, 1.0)) * config.max_lead
    lead = before + silence - notes[0].onset
    planned = plan_notes(notes, voice, rng, lead, config.style or None)
    end = planned[-1].offset
    n_seconds = end + after + 0.05 + float(rng.uniform(0.1, 1.0)) * config.max_tail
    if not speaks:
        return planned, n_seconds
    middle = float(np.median([note.pitch for note in notes]))
    if where == 0:
        return plan_speech(0.05, before, middle, rng) + planned, n_seconds
    if where == 2:
        return planned + plan_speech(end + rng.uniform(0.1, 0.4), end + after, middle, rng), n_seconds
    sounds: list[PlannedNote] = []
    for note in planned:
        if sounds and note.start - sounds[-1].offset > 0.9 and rng.random() < 0.6:
            sounds += plan_speech(sounds[-1].offset + 0.15, note.start - 0.2, middle, rng)
        sounds.append(note)
    return sounds, n_seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Write "Twinkle, twinkle, little star" as a 16-bit wav file: ``python -m hf_model.singer.synthesis OUT``."""
    parser = argparse.ArgumentParser(prog="python -m hf_model.singer.synthesis", description=main.__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=EXAMPLE_SEED, help="seed of the voice and the performance")
    parser.add_argument("--style", default="solfege", choices=list(STYLES), help="singing style")
    parser.add_argument("--sample-rate", type=int, default=22050, help="Hz")
    chosen = parser.parse_args(arguments)
    config = SingerConfig(chosen.sample_rate, max_lead=0.4, max_tail=0.6, speech=0.0, style=chosen.style)
    song = sing(twinkle(), chosen.seed, config)
    wavfile.write(chosen.output, song.sample_rate, np.rint(song.audio * 32767.0).astype(np.int16))


if __name__ == "__main__":
    main()
