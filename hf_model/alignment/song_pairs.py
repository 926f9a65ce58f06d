"""Pairs of the corpus "songs": voices that a separator took out of made songs, with exact notes and without a piano."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from hf_model.alignment.correction import Correction
from hf_model.alignment.manifest import Pair, read_manifest, voice_path
from hf_model.alignment.pairing import Outcome
from hf_model.alignment.song_mixture import MixtureJob, make_mixture, separate_mixture
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import write_audio
from hf_model.corpora.catalogue import get
from hf_model.corpora.readers.scores import is_piano_test_song
from hf_model.corpora.records import find_files
from hf_model.separator.choice import SeparatorLike, load_separator

SONGS = "songs"
"""Name of the corpus."""

RECORDED = "ssvd"
"""The corpus whose recordings sing in songs, with their corrected labels."""

INSTRUMENTAL_EVERY = 6
"""Every so many songs one has no singer and no notes."""


@dataclass(frozen=True)
class SongJob:
    """A song to make, to separate and to write."""

    folder: Path
    pair_id: str
    singer: str
    licence: str
    mixture: MixtureJob
    separator: str


def is_song_test_song(name: str) -> bool:
    """Whether a song of POP909 is for measuring transcribers of songs: the songs that nobody sings for training."""
    return is_piano_test_song(name)


def song_jobs(
    raw: Path, folder: Path, n_songs: int, n_recorded: int, seconds: float, seed: int, separator: str
) -> list[SongJob]:
    """List the songs to make; nothing of the held-out songs and of the held-out sound font is used.

    Parameters
    ----------
    raw : Path
        Holds ``pop909`` with all its files.
    folder : Path
        Of aligned data; for recorded voices the corpus ``RECORDED`` must be there.
    n_songs, n_recorded : int
        Songs with synthetic singers, and with recorded ones.
    seconds : float
        Of each.
    seed : int
    separator : str
        For :func:`hf_model.separator.choice.load_separator`.
    """
    paths = [path for path in find_files(raw / "pop909" / "POP909", "*/*.mid") if not is_song_test_song(path.stem)]
    order = np.random.default_rng([seed, 0x5046]).permutation(len(paths))
    chosen = [paths[int(order[number % len(paths)])] for number in range(n_songs + n_recorded)]
    jobs = []
    for number, path in enumerate(chosen[:n_songs]):
        lead = number % INSTRUMENTAL_EVERY != INSTRUMENTAL_EVERY - 1
        mixture = MixtureJob(path, seed * 1_000_003 + number, seconds, lead=lead)
        name = f"{path.stem}-{number // len(paths):03d}"
        jobs.append(SongJob(folder, name, f"{SONGS}-{path.stem}", get("pop909").licence, mixture, separator))
    for number, (path, pair) in enumerate(zip(chosen[n_songs:], _recorded(folder, n_recorded), strict=False)):
        mixture = MixtureJob(path, seed * 1_000_003 + 700_000 + number, seconds, pair=pair, aligned=folder)
        jobs.append(SongJob(folder, f"{pair.pair_id}-{number:03d}", pair.singer, pair.licence, mixture, separator))
    return jobs


def _recorded(folder: Path, count: int) -> list[Pair]:
    """List recorded pairs for training, in turn: first all singers, so that none outweighs the others."""
    path = folder / RECORDED / "manifest.parquet"
    pairs = [pair for pair in read_manifest(path) if pair.kept and pair.role == "train"] if path.is_file() else []
    by_singer: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_singer.setdefault(pair.singer, []).append(pair)
    singers: Sequence[list[Pair]] = list(by_singer.values())
    rounds = range(-(-count // len(singers))) if singers else range(0)
    return [own[turn % len(own)] for turn in rounds for own in singers][:count]


def make_song(job: SongJob) -> Outcome:
    """Make a song, separate it, and write what a transcriber is given."""
    mixture = make_mixture(job.mixture)
    audio = separate_mixture(mixture, _separator(job.separator))
    rate, notes = VOICE_STFT.sample_rate, tuple(mixture.notes)
    pair = Pair(job.pair_id, SONGS, job.singer, job.licence, "train", len(audio), rate, notes, Correction())
    write_audio(voice_path(job.folder, SONGS, job.pair_id), audio, rate)
    return Outcome(pair)


@lru_cache(maxsize=1)
def _separator(name: str) -> SeparatorLike:
    return load_separator(name)
