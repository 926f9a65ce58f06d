"""The lead vocal among the notes of a song: much softer ones belong to the band or to backing vocals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.notes.velocity import note_levels


@dataclass(frozen=True)
class LeadConfig:
    """What counts as the lead vocal; chosen on made songs with synthetic and with recorded singers.

    Attributes
    ----------
    loud_share : float
        0-1: the lead's level is exceeded by the remaining share of the time with notes.
    max_below_db : float
        Notes that are softer than the lead's level by more than this are left out.
    doubtful_db : float
        Notes that are softer by more than this are left out if their confidence is below ``min_confidence``.
    min_confidence : float
        0-1.
    least_confidence : float
        0-1; notes with less are left out whatever their level.
    """

    loud_share: float = 0.7
    max_below_db: float = 18.0
    doubtful_db: float = 12.0
    min_confidence: float = 0.7
    least_confidence: float = 0.3

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("loud_share", self.loud_share, 0.0, 1.0)
        check_range("max_below_db", self.max_below_db, 0.0, 120.0)
        check_range("doubtful_db", self.doubtful_db, 0.0, 120.0)
        check_range("min_confidence", self.min_confidence, 0.0, 1.0)
        check_range("least_confidence", self.least_confidence, 0.0, 1.0)


def choose_lead(
    notes: Sequence[Note], voice: NDArray[np.float32], sample_rate: int, config: LeadConfig | None = None
) -> list[Note]:
    """Keep the notes of the lead vocal.

    Parameters
    ----------
    notes : sequence of Note
        Transcribed from a song.
    voice : ndarray, shape (sample,)
        The separated voice, without accompaniment.
    sample_rate : int
        Hz.
    config : LeadConfig, optional

    Returns
    -------
    list of Note
    """
    config = config or LeadConfig()
    if not notes:
        return []
    below = lead_level(notes, voice, sample_rate, config.loud_share) - note_levels(voice, sample_rate, notes)
    return [
        note
        for note, decibels in zip(notes, below.tolist(), strict=True)
        if note.confidence >= config.least_confidence
        and decibels <= (config.doubtful_db if note.confidence < config.min_confidence else config.max_below_db)
    ]


def lead_level(notes: Sequence[Note], voice: NDArray[np.float32], sample_rate: int, loud_share: float) -> float:
    """Measure the level (dB) that notes do not exceed for a share of their time."""
    levels = note_levels(voice, sample_rate, notes)
    order = np.argsort(levels)
    share = np.cumsum([notes[int(i)].duration for i in order])
    return float(levels[order[min(int(np.searchsorted(share, loud_share * share[-1])), len(order) - 1)]])
