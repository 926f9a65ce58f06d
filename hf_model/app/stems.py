"""The stems of a song on the server: wav files in a recording's folder, and the cover that is mixed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.io import write_wav_blocks
from hf_model.audio.loudness import SILENCE_LUFS
from hf_model.export.all_or_none import all_or_none
from hf_model.export.cover import piano_gain, write_cover
from hf_model.piano.performance import LOUDNESS
from hf_model.separator.song import BLOCK_SAMPLES, Stem


@dataclass(frozen=True)
class StoredStem:
    """A wav file at 44.1 kHz whose loudness is known.

    Attributes
    ----------
    path : path
    n_samples : int
    loudness : float
        LUFS; minus infinity for silence.
    """

    path: Path
    n_samples: int
    loudness: float

    def blocks(self, n_samples: int = BLOCK_SAMPLES) -> Iterator[NDArray[np.float32]]:
        """Yield the audio in blocks (channel, sample) of ``n_samples``; may be called repeatedly."""
        import soundfile

        with soundfile.SoundFile(self.path) as file:
            for _ in range(0, max(1, self.n_samples), n_samples):
                yield file.read(n_samples, dtype="float32", always_2d=True).T


def store(stem: Stem, path: Path) -> StoredStem:
    """Write a stem as a 16-bit wav file."""
    write_wav_blocks(path, stem.blocks(), PIANO_SAMPLE_RATE, stem.n_samples)
    return StoredStem(path, stem.n_samples, stem.loudness)


def mix_cover(path: Path, piano: StoredStem, voice: StoredStem, backing: StoredStem) -> None:
    """Write the cover: the accompaniment with the piano in the singer's place.

    Raises
    ------
    DiskError
        If it cannot be written.
    """
    with all_or_none({"cover": path}) as temporary:
        write_cover(temporary["cover"], piano, voice, backing)


def cover_gains(piano: StoredStem, voice: StoredStem, backing: StoredStem) -> dict[str, float]:
    """Compute the levels at which piano and accompaniment sound like the cover, before its peaks are limited."""
    balance = piano_gain(piano.loudness, voice.loudness, backing.loudness)
    levels = [backing.loudness, piano.loudness + 20 * float(np.log10(balance))]
    power = sum(10 ** (level / 10) for level in levels if level > SILENCE_LUFS)
    total = min(1.0, 10 ** (LOUDNESS / 20) / power**0.5) if power else 1.0
    return {"piano": total * balance, "backing": total}


def measure_rms(blocks: Iterable[NDArray[np.float32]]) -> float:
    """Measure the root mean square of audio in blocks."""
    energy, n_samples = 0.0, 0
    for block in blocks:
        energy += float(np.sum(np.square(block, dtype=np.float64)))
        n_samples += block.size
    return math.sqrt(energy / max(1, n_samples))
