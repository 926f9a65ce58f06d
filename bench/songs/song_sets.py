"""The songs on which transcribers are measured: recorded ones, recorded stems, and made ones unseen in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, TEST_FONT
from hf_model.alignment.song_mixture import MixtureJob, make_mixture
from hf_model.alignment.song_pairs import is_song_test_song
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.notes.note import Note

Stereo = NDArray[np.float32]
Transcribe = Callable[[NDArray[np.float32]], list[Note]]

UNSEEN = ("I", "SpaceInvaders")
"""Songs of ultrastar that no choice was made on; measured with ``--unseen`` only."""

MADE_SEED, INSTRUMENTAL_SEED = 910_000, 920_000
MADE_SECONDS = 40.96

KARAOKE, STEMS, MADE, INSTRUMENTAL = "ultrastar", "everythingisfree", "made", "instrumental"
OWN_STEMS = "everythingisfree_songs"
"""As ``STEMS``, with the reference by the transcriber of songs instead of the default one."""

SETS = (KARAOKE, STEMS, OWN_STEMS, MADE, INSTRUMENTAL)


@dataclass(frozen=True, eq=False)
class SongItem:
    """A song to measure.

    Attributes
    ----------
    name : str
    mix : ndarray, shape (2, sample)
        44.1 kHz.
    notes : list of Note
        The reference.
    lead : ndarray, shape (sample,), optional
        The true voice, mono at 16 kHz, where it is known and the reference is another transcriber's.
    """

    name: str
    mix: Stereo
    notes: list[Note]
    lead: NDArray[np.float32] | None = None

    @property
    def seconds(self) -> float:
        """Duration."""
        return float(self.mix.shape[1] / BAND_SAMPLE_RATE)


def read_set(name: str, mirror: Path, from_lead: Transcribe, *, unseen: bool = False) -> Iterator[SongItem]:
    """Read or make the songs of a set.

    Parameters
    ----------
    name : str
        One of ``SETS``.
    mirror : Path
        Folder of the corpora.
    from_lead : callable
        Transcribes a lead stem (sample,) at 16 kHz: the reference of ``STEMS`` and ``OWN_STEMS``.
    unseen : bool
        The songs ``UNSEEN`` instead of the other ones (ultrastar).
    """
    if name == KARAOKE:
        yield from _karaoke(mirror / "ultrastar", unseen)
    elif name in (STEMS, OWN_STEMS):
        yield from _stems(mirror / "everythingisfree", from_lead, keep=name == STEMS)
    else:
        yield from _made(mirror / "pop909" / "POP909", lead=name == MADE)


def _karaoke(folder: Path, unseen: bool) -> Iterator[SongItem]:
    for path in sorted(folder.glob("*.ogg")):
        if (path.stem in UNSEEN) == unseen:
            rows = [line.split() for line in path.with_suffix(".txt").read_text("utf-8").splitlines() if line.strip()]
            notes = [Note(float(row[0]), float(row[1]), float(row[2])) for row in rows]
            yield SongItem(path.stem, _stereo(path), sorted(notes))


def _stems(folder: Path, from_lead: Transcribe, *, keep: bool) -> Iterator[SongItem]:
    for path in sorted(folder.glob("*/lead.ogg")):
        lead, backing = _stereo(path), _stereo(path.with_name("backing.ogg"))
        n_samples = min(lead.shape[1], backing.shape[1])
        lead, backing = lead[:, :n_samples], backing[:, :n_samples]
        mono = resample(to_mono(lead), BAND_SAMPLE_RATE, VOICE_STFT.sample_rate)
        yield SongItem(path.parent.name, lead + backing, from_lead(mono), mono if keep else None)


def _made(folder: Path, *, lead: bool) -> Iterator[SongItem]:
    seed = MADE_SEED if lead else INSTRUMENTAL_SEED
    for path in sorted(folder.glob("*/*.mid")):
        if is_song_test_song(path.stem):
            job = MixtureJob(path, seed + int(path.stem), MADE_SECONDS, (0.0, 0.0), (TEST_FONT,), lead=lead)
            made = make_mixture(job)
            yield SongItem(path.stem, made.mix, made.notes)


def _stereo(path: Path) -> Stereo:
    audio, sample_rate = read_audio(path)
    both = audio[:2] if audio.shape[0] >= 2 else np.repeat(audio, 2, axis=0)
    return resample(both, sample_rate, BAND_SAMPLE_RATE)
