"""Days of made singing in memory-mapped arrays, which trainings read while they are still being made."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from hf_model.audio.grid import VOICE_STFT
from hf_model.corpora.readers.scores import held_out_song
from hf_model.corpora.records import ScoreRecord
from hf_model.corpora.score_file import SCORE_FILE, read_scores
from hf_model.notes.note import Note
from hf_model.singer.composition import compose, phrase_from_song
from hf_model.singer.synthesis import Song, sing

RATE = VOICE_STFT.sample_rate
ROW_SECONDS, PHRASE_SECONDS = 15.0, 10.2
MOST_NOTES = 96
KINDS = (np.int16, np.float32, np.int32)
OTHER_VOICES = 500_000
"""What is added to a seed for melodies of songs, as by `align`: other melodies deserve other voices."""

UNMET = 400_000
"""Number of the first phrase that no training is given."""


class Voices(NamedTuple):
    """Phrases as whoever sings them left them.

    Attributes
    ----------
    audio : ndarray of int16, shape (phrase, sample)
        16 kHz, zero after the end.
    notes : ndarray, shape (phrase, note, 4)
        onset, offset (s), pitch, velocity; padding rows have pitch 0.
    lengths : ndarray, shape (phrase,)
        Samples; 0 for a phrase that is not there yet.
    """

    audio: NDArray[np.int16]
    notes: NDArray[np.float32]
    lengths: NDArray[np.int32]

    def wait(self, n_phrases: int) -> None:
        """Return when the first ``n_phrases`` are there."""
        while not np.all(self.lengths[:n_phrases] > 0):
            time.sleep(0.2)

    def n_ready(self) -> int:
        """Count the phrases that are there."""
        return int(np.count_nonzero(self.lengths))

    def crop(self, phrase: int, start: int, n_samples: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Cut audio and the notes that sound in it, times from the cut's start."""
        notes = self.notes[phrase].copy()
        notes[:, :2] -= start / RATE
        sounding = (notes[:, 2] > 0) & (notes[:, 1] > 0) & (notes[:, 0] < n_samples / RATE)
        notes[~sounding] = 0.0
        return self.audio[phrase, start : start + n_samples], notes

    def example(self, phrase: int, start: int, n_samples: int) -> dict[str, Tensor]:
        """Give a cut as an example: voice (sample,), int16; notes and n_frames as the stft stage has them."""
        audio, notes = self.crop(phrase, start, n_samples)
        n_frames = torch.tensor(1 + n_samples // VOICE_STFT.hop_length)
        return {"voice": torch.from_numpy(audio.copy()), "notes": torch.from_numpy(notes), "n_frames": n_frames}

    def keep(self, phrase: int, song: Song) -> None:
        """Put a song into the arrays; what does not fit is cut."""
        n_samples = min(len(song.audio), self.audio.shape[1])
        self.audio[phrase, :n_samples] = np.round(song.audio[:n_samples].clip(-1, 1) * 32767)
        for row, note in zip(self.notes[phrase], song.notes, strict=False):
            row[:] = note.onset, note.offset, note.pitch, note.velocity
        self.lengths[phrase] = n_samples


def open_voices(folder: Path, n_phrases: int = 0) -> Voices:
    """Open arrays of voices; with a number of phrases, make empty ones."""
    if n_phrases:
        folder.mkdir(parents=True)
        for name, shape, kind in zip(Voices._fields, _shapes(n_phrases), KINDS, strict=True):
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)  # zeros take no room on most disks
    return Voices(*(np.load(folder / f"{name}.npy", mmap_mode="r+") for name in Voices._fields))


def make_voices(folder: Path, n_phrases: int, raw: Path | None, seed: int, workers: int) -> None:
    """Sing phrases into the arrays of a folder, half of them on melodies of POP909 where ``raw`` holds it."""
    open_voices(folder, n_phrases)
    work = partial(_sing, folder, raw, seed)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_alone) as pool:
        for _ in track(pool.map(work, range(n_phrases), chunksize=8), "singing", n_phrases):
            pass


def unmet_voices(n_phrases: int, seed: int) -> Voices:
    """Sing phrases that no training is given."""
    found = Voices(*(np.zeros(shape, kind) for shape, kind in zip(_shapes(n_phrases), KINDS, strict=True)))
    for number in range(n_phrases):
        place = _seed(seed, UNMET + number)
        found.keep(number, sing(compose(place, PHRASE_SECONDS), place))
    return found


def _shapes(n_phrases: int) -> tuple[tuple[int, ...], ...]:
    return (n_phrases, int(ROW_SECONDS * RATE)), (n_phrases, MOST_NOTES, 4), (n_phrases,)


def _alone() -> None:
    torch.set_num_threads(1)


@cache
def _songs(raw: Path | None) -> list[list[Note]]:
    records = read_scores(raw / "pop909" / SCORE_FILE, "pop909") if raw else []
    return [one.notes for one in records if isinstance(one, ScoreRecord) and not held_out_song(one.pair_id)]


_opened = cache(open_voices)


def _sing(folder: Path, raw: Path | None, first_seed: int, number: int) -> None:
    seed, songs, voices = _seed(first_seed, number), _songs(raw), _opened(folder)
    if number % 2 and songs:
        seed += OTHER_VOICES
        score = phrase_from_song(songs[number // 2 % len(songs)], seed, PHRASE_SECONDS)
    else:
        score = compose(seed, PHRASE_SECONDS)
    voices.keep(number, sing(score, seed))


def _seed(seed: int, number: int) -> int:
    return seed * 1_000_003 + number
