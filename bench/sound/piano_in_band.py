"""Made songs whose band has a piano or has none, to measure whether it is found among the other instruments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.alignment.band import KEYS, Part, write_band
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, find_font, render_band
from hf_model.audio.io import to_mono
from hf_model.audio.resampling import resample
from hf_model.corpora.pop909_songs import cut_excerpt, read_song
from hf_model.instruments.classes import PROGRAMS
from hf_model.instruments.spectrogram import RATE

SECONDS = 10.0

ELECTRIC_GRAND, ACOUSTIC_GUITAR = 2, 25

SEED = 5


class BandClip(NamedTuple):
    """A song (sample,) at 16 kHz, and the level of its piano in dB of all other parts; minus infinity without one."""

    audio: NDArray[np.float32]
    piano_db: float


def band_clips(mirror: Path, font: str, count: int) -> Iterator[BandClip]:
    """Write bands for excerpts of POP909, every other one with a piano in the place of its keyboard or guitar."""
    songs = sorted((mirror / "pop909" / "POP909").glob("*/*.mid"))
    for number in range(count):
        rng = np.random.default_rng([number, 0, SEED])
        excerpt = cut_excerpt(
            read_song(songs[7 * number % len(songs)]),
            rng.uniform(20.0, 80.0),
            SECONDS,
            rng.uniform(0.8, 1.25),
            int(rng.integers(-5, 6)),
        )
        piano, others = _split(write_band(excerpt, SECONDS, rng), with_piano=number % 2 == 0, rng=rng)
        if others and bool(piano) == (number % 2 == 0):
            sounds = [_play(parts, font) for parts in (piano, others)]
            powers = [float(np.mean(np.square(sound))) for sound in sounds]
            level = 10.0 * np.log10(powers[0] / powers[1]) if powers[0] else -np.inf
            yield BandClip(sounds[0] + sounds[1], float(level))


def _split(parts: list[Part], *, with_piano: bool, rng: Generator) -> tuple[list[Part], list[Part]]:
    """Let the first accompanying part be played by a piano, and no other one; or none at all."""
    piano: list[Part] = []
    others = []
    accompaniments = [part for part in parts if not part.is_drum and part.program in KEYS][:1]
    for part in parts:
        if with_piano and part in accompaniments:
            piano.append(replace(part, program=int(rng.choice(PROGRAMS["piano"]))))
        elif not part.is_drum and part.program in (*PROGRAMS["piano"], ELECTRIC_GRAND):
            others.append(replace(part, program=ACOUSTIC_GUITAR))
        else:
            others.append(part)
    return piano, others


def _play(parts: list[Part], font: str) -> NDArray[np.float32]:
    n_samples = round(SECONDS * BAND_SAMPLE_RATE)
    if not parts:
        return np.zeros(round(SECONDS * RATE), dtype=np.float32)
    return resample(to_mono(render_band(parts, n_samples, find_font(font))), BAND_SAMPLE_RATE, RATE)
