"""Clips of single instruments for training: phrases played by sound fonts, drums, and made voices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.alignment.band import Part
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, render_band
from hf_model.audio.io import to_mono
from hf_model.audio.resampling import resample
from hf_model.instruments.classes import DRUMS, POLYPHONIC, PROGRAMS, RANGES, VOICE, WHISTLING
from hf_model.instruments.spectrogram import FRAME_RATE, RATE, mel_power
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, Song, sing

CLIP_SECONDS = 5.0

GAP = 1.0
"""Seconds between the clips of one rendering."""

CLIP_FRAMES = round(CLIP_SECONDS * FRAME_RATE)

SCALE = (0, 2, 4, 5, 7, 9, 11)

TRAIN_FONTS = ("MuseScore_General_Full.sf3", "FluidR3_GM.sf2", "sf_GMbank.sf2", "OPL-3_FM_128M.sf2")
"""Debian: musescore-general-soundfont, fluid-soundfont-gm, csound-soundfont, opl3-soundfont."""

BEYOND = 8
"""Semitones beyond the usual range in which single held notes are played."""

KIND_OF_VOICE = {
    "bass": "man",
    "man": "man",
    "falsetto": "man",
    "woman": "woman",
    "soprano": "woman",
    "child": "child",
}


@dataclass(frozen=True, eq=False)
class InstrumentClip:
    """A clip of one sound.

    Attributes
    ----------
    names : frozenset of str
        Its classes.
    power : ndarray, shape (frame, band)
        Of :func:`hf_model.instruments.spectrogram.mel_power`, relative to its loudest frame.
    group : str
        The sound font or collection.
    """

    names: frozenset[str]
    power: NDArray[np.float32]
    group: str


def font_clips(font: Path, n_clips: int, seed: int) -> Iterator[InstrumentClip]:
    """Render phrases on all instruments of a General MIDI sound font.

    Parameters
    ----------
    font : Path
    n_clips : int
        Clips a class, spread over its programs.
    seed : int

    Raises
    ------
    FileNotFoundError, OSError
        As :func:`hf_model.alignment.band_audio.render_band`.
    """
    rng = np.random.default_rng([seed, *font.name.encode()])
    for name, programs in PROGRAMS.items():
        counts = [len(range(index, n_clips, len(programs))) for index in range(len(programs))]
        for program, count in zip(programs, counts, strict=True):
            if count:
                notes = [note for clip in range(count) for note in _phrase(name, clip, rng)]
                yield from rendered(Part(program, tuple(notes)), count, font, name, rng)
    for kit in (0, 8, 16, 25):
        notes = [note for clip in range(max(1, n_clips // 4)) for note in _drumming(clip, rng)]
        yield from rendered(Part(kit, tuple(notes), is_drum=True), max(1, n_clips // 4), font, DRUMS, rng)


def rendered(
    part: Part, count: int, font: Path, name: str, rng: Generator, group: str = ""
) -> Iterator[InstrumentClip]:
    """Render a part in a room of random size, and cut it into its clips; their group is the sound font by default."""
    seconds = count * (CLIP_SECONDS + GAP)
    sound = render_band([part], round(seconds * BAND_SAMPLE_RATE), font, reverb=int(rng.integers(0, 60)))
    audio = resample(to_mono(sound), BAND_SAMPLE_RATE, RATE)
    for index in range(count):
        start = round(index * (CLIP_SECONDS + GAP) * RATE)
        clip = audio_clip(audio[start : start + round(CLIP_SECONDS * RATE)], {name}, group or font.name)
        if clip is not None:
            yield clip


def audio_clip(audio: NDArray[np.float32], names: set[str], group: str) -> InstrumentClip | None:
    """Make a clip of audio (sample,) at 16 kHz; None for silence."""
    power = mel_power(audio)[:CLIP_FRAMES]
    level = float(power.sum(axis=1).max())
    if level < 1e-7:
        return None
    padded = np.pad(power / level, ((0, CLIP_FRAMES - len(power)), (0, 0)))
    return InstrumentClip(frozenset(names), padded.astype(np.float16).astype(np.float32), group)


def _phrase(name: str, clip: int, rng: Generator) -> list[Note]:
    """Write a phrase in the range of an instrument: a melody, single notes, one held note, or chords."""
    begin = clip * (CLIP_SECONDS + GAP)
    low, high = RANGES[name]
    styles = ["melody", "melody", "single", "held", "chords"]
    style = str(rng.choice(styles if name in POLYPHONIC else styles[:4]))
    if style == "held":
        pitch, end = int(rng.integers(low - BEYOND, high + BEYOND + 1)), float(rng.uniform(1.0, CLIP_SECONDS))
        return [Note(begin, begin + end, float(np.clip(pitch, 21, 108)), int(rng.integers(15, 127)))]
    key, beat = int(rng.integers(12)), float(rng.uniform(0.18, 0.8))
    if style == "single":
        beat = float(rng.uniform(0.8, 3.0))
    scale = [pitch for pitch in range(low, high + 1) if (pitch - key) % 12 in SCALE]
    place = int(rng.integers(len(scale)))
    velocity, legato = int(rng.integers(45, 120)), float(rng.uniform(0.5, 1.05))
    notes, now = [], float(rng.uniform(0.0, 0.3))
    while now < CLIP_SECONDS - 0.2:
        place = int(np.clip(place + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3, 4, -5]), 0, len(scale) - 1))
        length = beat * float(rng.choice([0.5, 1.0, 1.0, 1.0, 2.0]))
        stack = [place, place + 2, place + 4, place - 7] if style == "chords" else [place]
        end = min(now + max(0.08, legato * length), CLIP_SECONDS)
        for step in stack:
            if 0 <= step < len(scale):
                loud = int(np.clip(velocity + rng.normal(0, 8), 20, 127))
                notes.append(Note(begin + now, begin + end, scale[step], loud))
        now += length
        if rng.random() < 0.08:
            now += beat
    return notes


def _drumming(clip: int, rng: Generator) -> list[Note]:
    """Write a drum pattern: bass drum, snare, cymbals and toms at random places of a bar."""
    begin, beat = clip * (CLIP_SECONDS + GAP), float(rng.uniform(0.3, 0.75))
    chances = {36: (0.9, 0.2, 0.6, 0.2), 38: (0.05, 0.1, 0.9, 0.1), 42: (0.9, 0.7, 0.9, 0.7)}
    extra = rng.choice([41, 43, 45, 46, 47, 49, 51, 37, 39, 54], size=2)
    notes = []
    for step in range(int(CLIP_SECONDS / beat * 2)):
        for key, steps in (*chances.items(), *((int(drum), (0.15,) * 4) for drum in extra)):
            if rng.random() < steps[step % 4]:
                at = begin + step * beat / 2
                notes.append(Note(at, at + 0.1, key, int(rng.integers(50, 120))))
    return notes


def sung_clip(song: Song, style: str, group: str) -> InstrumentClip | None:
    """Make a clip of what the singing synthesizer sang in a style; None if it is silent."""
    names = {WHISTLING} if song.voice == "whistle" else {VOICE, KIND_OF_VOICE[song.voice]}
    if style == "hum" and song.voice != "whistle":
        names.add("humming")
    audio = resample(song.audio, song.sample_rate, RATE)[: round(CLIP_SECONDS * RATE)]
    return audio_clip(audio, names, group)


def made_voice_clips(n_clips: int, seed: int) -> Iterator[InstrumentClip]:
    """Sing phrases with made voices: men, women, children, humming and whistling."""
    for index in range(n_clips):
        style = ("", "hum", "syllable", "words")[index % 4]
        number = seed * 100_000 + index
        phrase = compose(number, CLIP_SECONDS + 2.0)
        rng = np.random.default_rng([number, 5])
        shift = float(rng.choice([-12.0, 0.0, 0.0, 7.0, 12.0]))
        score = [replace(note, pitch=float(np.clip(note.pitch + shift, 36, 88))) for note in phrase]
        config = SingerConfig(max_lead=0.2, max_tail=0.1, speech=0.0, style=style)
        song = sing(score, number, config)
        clip = sung_clip(song, style, "made voices")
        if clip is not None:
            yield clip
