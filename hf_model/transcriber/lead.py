"""The lead vocal among the notes of a song: soft phrases, soft doubtful notes, and ones wide in stereo are of others.

The lead is nearly always in the middle of the stereo image; backing vocals, keyboards and guitars are beside it. What
a separator leaves of instruments is softer than the lead for whole phrases, while single notes of the lead may be soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.spectrogram import span_spectra
from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.notes.velocity import note_levels

N_FFT, HOP = 2048, 512
"""Samples at 16 kHz of the frames in which partials are measured."""

N_PARTIALS, HIGHEST_HZ = 12, 5000.0

NARROWEST_DB = -60.0
"""Width of what is the same in both channels."""


@dataclass(frozen=True)
class LeadConfig:
    """What counts as the lead vocal; chosen on made songs with synthetic and with recorded singers.

    Attributes
    ----------
    least_confidence : float
        0-1; notes with less are left out whatever their level.
    min_confidence, doubtful_db : float
        Notes with less confidence than this are left out if they are softer than the lead's level by more than this.
    loud_share : float
        0.5-1: the lead's level is exceeded by the remaining share of the time with notes.
    loud_db : float
        Confident notes that are softer than the lead's level by at most this show what the lead is like.
    phrase_rest : float
        Seconds; a rest as long ends a phrase.
    phrase_db, phrase_spreads : float
        A phrase is left out if its loudest note is softer than the accompaniment, and softer than the lead's level by
        more than ``phrase_db`` and this many spreads. The spread is the difference between the levels that loud and
        confident notes do not exceed for ``loud_share``, and for the remaining share, of their time.
    narrow_share : float
        0-1: share of the time of notes that are loud and confident with at most the lead's width.
    max_wider_db : float
        Notes that are wider than the lead by more than this are left out...
    middle_db : float
        ...if their width (level of the difference of the channels over that of their sum) is above this.
    """

    least_confidence: float = 0.3
    min_confidence: float = 0.7
    doubtful_db: float = 8.0
    loud_share: float = 0.7
    loud_db: float = 12.0
    phrase_rest: float = 0.5
    phrase_db: float = 4.0
    phrase_spreads: float = 2.0
    narrow_share: float = 0.35
    max_wider_db: float = 8.0
    middle_db: float = -14.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("least_confidence", self.least_confidence, 0.0, 1.0)
        check_range("min_confidence", self.min_confidence, 0.0, 1.0)
        check_range("doubtful_db", self.doubtful_db, 0.0, 120.0)
        check_range("loud_share", self.loud_share, 0.5, 1.0)
        check_range("loud_db", self.loud_db, 0.0, 120.0)
        check_range("phrase_rest", self.phrase_rest, 0.0, 60.0)
        check_range("phrase_db", self.phrase_db, 0.0, 120.0)
        check_range("phrase_spreads", self.phrase_spreads, 0.0, 100.0)
        check_range("narrow_share", self.narrow_share, 0.0, 1.0)
        check_range("max_wider_db", self.max_wider_db, 0.0, 120.0)
        check_range("middle_db", self.middle_db, NARROWEST_DB, 60.0)


def choose_lead(
    notes: Sequence[Note],
    voice: NDArray[np.float32],
    backing: NDArray[np.float32],
    sample_rate: int,
    config: LeadConfig | None = None,
    *,
    side: NDArray[np.floating] | None = None,
) -> list[Note]:
    """Keep the notes of the lead vocal.

    Parameters
    ----------
    notes : sequence of Note
        Transcribed from a song, sorted by onset.
    voice, backing : ndarray, shape (sample,)
        The separated voice and the accompaniment: means of both channels.
    sample_rate : int
        Hz.
    config : LeadConfig, optional
    side : ndarray, shape (sample,), optional
        Half the difference of the channels of the voice; not given for a mono song.

    Returns
    -------
    list of Note
    """
    config = config or LeadConfig()
    if not notes:
        return []
    confidence, durations = np.array([(note.confidence, note.duration) for note in notes]).T
    levels = note_levels(voice, sample_rate, notes)
    below = not_exceeded(levels, durations, config.loud_share) - levels
    is_sure = confidence >= config.min_confidence
    is_lead = (confidence >= config.least_confidence) & (is_sure | (below <= config.doubtful_db))
    is_loud = is_sure & (below <= config.loud_db)
    if side is not None and is_loud.any():
        widths = note_widths(voice, side, sample_rate, notes)
        lead = not_exceeded(widths[is_loud], durations[is_loud], config.narrow_share)
        is_lead &= widths <= max(config.middle_db, lead + config.max_wider_db)
    is_loud &= is_lead
    if is_loud.any():
        shares = (1.0 - config.loud_share, config.loud_share)
        softer, louder = (not_exceeded(levels[is_loud], durations[is_loud], share) for share in shares)
        is_soft = below > config.phrase_db + config.phrase_spreads * (louder - softer)
        is_soft &= levels < note_levels(backing, sample_rate, notes)
        for phrase in _phrases(notes, np.flatnonzero(is_lead), config.phrase_rest):
            is_lead[phrase] = not is_soft[phrase[np.argmin(below[phrase])]]
    return [note for note, kept in zip(notes, is_lead, strict=True) if kept]


def _phrases(notes: Sequence[Note], chosen: NDArray[np.int64], rest: float) -> list[NDArray[np.int64]]:
    """Divide the indices of notes where nothing sounds for so many seconds."""
    rests = [notes[after].onset - notes[before].offset for before, after in pairwise(chosen.tolist())]
    return np.split(chosen, 1 + np.flatnonzero(np.array(rests) >= rest))


def note_widths(
    voice: NDArray[np.float32], side: NDArray[np.floating], sample_rate: int, notes: Sequence[Note]
) -> NDArray[np.float64]:
    """Measure how wide the partials of notes are: the level of ``side`` over that of ``voice``.

    Parameters
    ----------
    voice, side : ndarray, shape (sample,)
        Mean, and half the difference, of two channels.
    sample_rate : int
        Hz.
    notes : sequence of Note

    Returns
    -------
    ndarray, shape (note,)
        dB; ``NARROWEST_DB`` for equal channels, 0 for sound in one channel only, more for opposite phases.
    """
    widths = np.full(len(notes), NARROWEST_DB)
    for index, note in enumerate(notes):
        partials = np.arange(1, N_PARTIALS + 1) * pitch_to_hz(note.pitch)
        centres = np.round(partials[partials < HIGHEST_HZ] * N_FFT / sample_rate).astype(int)
        bins = np.unique(centres[:, None] + np.arange(-1, 2))
        spectra = [span_spectra(part, note.onset, note.offset, sample_rate, N_FFT, HOP) for part in (voice, side)]
        middle, beside = (np.square(np.abs(part[:, bins]), dtype=np.float64).sum() for part in spectra)
        widths[index] = 10.0 * np.log10(max(beside / max(middle, 1e-12), 10.0 ** (NARROWEST_DB / 10.0)))
    return widths


def not_exceeded(values: NDArray[np.float64], durations: NDArray[np.float64], share: float) -> float:
    """Find the value that is not exceeded for a share of the time."""
    order = np.argsort(values)
    time = np.cumsum(durations[order])
    return float(values[order[min(int(np.searchsorted(time, share * time[-1])), len(order) - 1)]])
