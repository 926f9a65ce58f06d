"""Clips to fit and measure the decision between voice and song: lone voices with all kinds of noises; made songs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.alignment.band import write_band
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, TEST_FONT, find_font, render_band
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.augmentation.noise import BENCH_SEED, noise
from hf_model.corpora.pop909_songs import cut_excerpt, read_song
from hf_model.evaluation.degradations import CONDITIONS, singing_power
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing
from hf_model.training.instruments.clips import TRAIN_FONTS
from hf_model.training.instruments.recorded_clips import is_test_voice

Audio = NDArray[np.float32]

RATE = VOICE_STFT.sample_rate
SECONDS = 8.0
N_MADE, N_BANDS = {"fit": 72, "test": 12}, {"fit": 140, "test": 22}
"""Voices and bands that clips are made of."""

NOISES = ("street", "talk", "wind", "fan", "rain", "typing", "birds", "hiss", "hum")
KINDS = ("alone", "noise", "click", "talk", "second", "duet", "condition")
ODDS = (0.14, 0.25, 0.10, 0.12, 0.09, 0.05, 0.25)
SOLOS = {"guitar": (24, 25), "piano": (0, 1, 2)}

TEST_STEMS, TRAIN_STEMS = ("lithium", "sodium"), ("caesium", "francium")
"""Songs of everythingisfree."""


class Clip(NamedTuple):
    """A clip (sample,) at 16 kHz, what it is made of, and whether it is a song."""

    audio: Audio
    kind: str
    is_song: bool


class Material(NamedTuple):
    """Sounds for clips: voices, of them the recorded ones first; bands with their kinds; songs as voice and backing."""

    recorded: list[Audio]
    made: list[Audio]
    bands: list[tuple[str, Audio]]
    stems: list[tuple[Audio, Audio]]


def read_mono(path: Path) -> Audio:
    """Read a file as mono at 16 kHz."""
    audio, rate = read_audio(path)
    return resample(to_mono(audio), rate, RATE)


def read_material(mirror: Path, *, test: bool) -> Material:
    """Read and make voices and bands; those for testing are other singers, songs and sound fonts."""
    recorded = [read_mono(path) for path in recorded_voices(mirror, test=test)]
    made = []
    for seed in range(N_MADE["test" if test else "fit"]):
        song = sing(compose(BENCH_SEED * test + seed, 12.0), BENCH_SEED * test + seed)
        made.append(resample(song.audio.astype(np.float32), song.sample_rate, RATE))
    stems = mirror / "everythingisfree"
    names = TEST_STEMS if test else TRAIN_STEMS
    pairs = [(read_mono(stems / name / "lead.ogg"), read_mono(stems / name / "backing.ogg")) for name in names]
    return Material(recorded, made, list(_bands(mirror, test)), pairs)


def make_clips(material: Material, count: int, seed: int) -> Iterator[Clip]:
    """Make as many lone voices as songs, in turn."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield _lone(material, rng)
        yield _song(material, rng)


def recorded_voices(mirror: Path, *, test: bool) -> list[Path]:
    """List the recordings of SSVD with a stated licence, of training or of test."""
    licensed = {path.stem for path in (mirror / "hust_solfege" / "onset&pitch").glob("*.txt")}
    paths = sorted((mirror / "ssvd" / "train&valid").glob("*.flac"))
    return [path for path in paths if path.stem in licensed and is_test_voice(path.stem) == test]


def _bands(mirror: Path, test: bool) -> Iterator[tuple[str, Audio]]:
    """Render bands, and a guitar or a piano alone."""
    songs = sorted((mirror / "pop909" / "POP909").glob("*/*.mid"))
    for number in range(N_BANDS["test" if test else "fit"]):
        rng = np.random.default_rng([number, test, 77])
        path = songs[(2 * number * 101 + test) % len(songs)]
        song = cut_excerpt(
            read_song(path), rng.uniform(20.0, 80.0), 12.0, rng.uniform(0.8, 1.25), int(rng.integers(-5, 6))
        )
        parts = write_band(song, 12.0, rng)
        kind = ("band", "guitar", "piano", "band", "band")[number % 5]
        pitched = [part for part in parts if not part.is_drum]
        if kind in SOLOS and pitched:
            fullest = max(pitched, key=lambda part: len(part.notes))
            parts = [replace(fullest, program=int(rng.choice(SOLOS[kind])))]
        font = find_font(TEST_FONT if test else str(rng.choice(TRAIN_FONTS)))
        audio = render_band(parts, 12 * BAND_SAMPLE_RATE, font, reverb=int(rng.integers(0, 90)))
        if np.abs(audio).max() > 1e-3:
            yield kind, resample(to_mono(audio), BAND_SAMPLE_RATE, RATE)


def _lone(material: Material, rng: Generator) -> Clip:
    voice, seed = _voice(material, rng), int(rng.integers(BENCH_SEED))
    kind = str(rng.choice(KINDS, p=ODDS))
    if kind in ("noise", "talk"):
        sort = "talk" if kind == "talk" else str(rng.choice(NOISES))
        level = rng.uniform(-3.0, 12.0) if kind == "talk" else rng.uniform(0.0, 20.0)
        voice, kind = _add(voice, noise(sort, SECONDS, seed), level), f"beside {sort}"
        voice = CONDITIONS["room"](voice, RATE, seed) if rng.random() < 0.3 else voice
    elif kind == "click":
        voice, kind = _add(voice, _metronome(rng), rng.uniform(-3.0, 15.0)), "beside a metronome"
    elif kind in ("second", "duet"):
        level = rng.uniform(6.0, 20.0) if kind == "second" else rng.uniform(0.0, 5.0)
        voice, kind = _add(voice, _voice(material, rng), level), "two singers"
    elif kind == "condition":
        condition = str(rng.choice(list(CONDITIONS)))
        voice, kind = CONDITIONS[condition](voice, RATE, seed), f"condition {condition}"
    return Clip(voice, kind, is_song=False)


def _song(material: Material, rng: Generator) -> Clip:
    draw = rng.random()
    if draw < 0.14:
        lead, backing = material.stems[int(rng.integers(len(material.stems)))]
        start = int(rng.integers(0, min(len(lead), len(backing)) - round(SECONDS * RATE)))
        span = slice(start, start + round(SECONDS * RATE))
        song, kind = lead[span] * np.float32(10.0 ** (rng.uniform(-3.0, 6.0) / 20.0)) + backing[span], "recorded song"
    else:
        kind, band = material.bands[int(rng.integers(len(material.bands)))]
        song, kind = _cut(band, rng), f"with {kind}"
        if draw > 0.26:
            song = _add(_voice(material, rng), song, rng.uniform(-6.0, 12.0))
        else:
            kind = kind.replace("with", "only")
    if rng.random() < 0.35:
        song = CONDITIONS[str(rng.choice(list(CONDITIONS)))](song, RATE, int(rng.integers(BENCH_SEED)))
    return Clip(song, kind, is_song=True)


def _voice(material: Material, rng: Generator) -> Audio:
    voices: Sequence[Audio] = material.recorded if rng.random() < 0.7 else material.made
    return _cut(voices[int(rng.integers(len(voices)))], rng)


def _cut(audio: Audio, rng: Generator) -> Audio:
    length = round(SECONDS * RATE)
    if len(audio) <= length:
        return np.pad(audio, (0, length - len(audio)))
    parts = [audio[start : start + length] for start in rng.integers(0, len(audio) - length + 1, 4)]
    return max(parts, key=lambda part: float(np.mean(np.square(part))))


def _add(first: Audio, second: Audio, level_db: float) -> Audio:
    """Add a sound that is so many dB softer."""
    powers = [max(singing_power(sound, RATE), 1e-12) for sound in (first, second)]
    return first + second * np.float32(np.sqrt(powers[0] / powers[1]) * 10.0 ** (-level_db / 20.0))


def _metronome(rng: Generator) -> Audio:
    clicks = np.zeros(round(SECONDS * RATE), dtype=np.float32)
    times = np.arange(int(rng.uniform(0.02, 0.06) * RATE)) / RATE
    hz, decay = float(rng.choice([800.0, 1000.0, 1500.0, 2200.0])), rng.uniform(0.004, 0.02)
    step = int(60.0 * RATE / rng.uniform(60.0, 160.0))
    for number, start in enumerate(range(int(rng.integers(step)), len(clicks) - len(times), step)):
        accent = 1.0 if number % 4 else 1.5
        clicks[start : start + len(times)] += np.sin(2.0 * np.pi * hz * accent * times) * np.exp(-times / decay)
    return clicks
