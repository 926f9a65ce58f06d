"""Rhythms of bass and chords in bars of four beats, chosen for the melody by tables counted in pop songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.music.chords import best_path
from hf_model.weights import WEIGHTS, WEIGHTS_FILE, damaged, read_tensors

MODEL = WEIGHTS / "rhythms"

STEPS = 16
"""Steps of a bar: sixteenths."""

ACTIVITY = (1, 4, 7)
"""Onsets of the melody in a bar from which its activity counts as one class more."""

N_CONTEXTS = 2 * (len(ACTIVITY) + 1)

VOICES = ("bass", "chords")


@dataclass(frozen=True, eq=False)
class RhythmTable:
    """The rhythms of a bar of one voice, and how probable they are.

    Attributes
    ----------
    onsets : ndarray of bool, shape (rhythm, STEPS)
    given : ndarray, shape (context, rhythm)
        Score in a bar of some context (:func:`context`): the log-probability, with more weight of the context.
    following : ndarray, shape (rhythm, rhythm)
        Log-probability after another rhythm (first axis).
    """

    onsets: NDArray[np.bool_]
    given: NDArray[np.float64]
    following: NDArray[np.float64]

    def choose(self, contexts: Sequence[int]) -> NDArray[np.int64]:
        """Find the most probable sequence of rhythms (bar,) for the contexts of all bars (Viterbi)."""
        scores = self.given[list(contexts)]
        return best_path(scores, repeat(self.following, len(scores) - 1))


@dataclass(frozen=True, eq=False)
class RhythmModel:
    """The rhythms of all voices.

    Attributes
    ----------
    tables : mapping of voice to RhythmTable
        For each of ``VOICES``.
    fifths : ndarray, shape (STEPS,)
        Share of the bass notes on each step that are the fifth of a chord which sounded before.
    """

    tables: Mapping[str, RhythmTable]
    fifths: NDArray[np.float64]

    @classmethod
    def load(cls, folder: Path = MODEL) -> RhythmModel:
        """Read a model, by default the one that ships.

        Raises
        ------
        FileNotFoundError
            If the folder holds no model.
        WeightsError
            If the model is damaged.
        """
        tensors = read_tensors(folder)
        try:
            tables = {
                voice: RhythmTable(
                    tensors[f"{voice}_onsets"].astype(bool),
                    tensors[f"{voice}_given"].astype(np.float64),
                    tensors[f"{voice}_following"].astype(np.float64),
                )
                for voice in VOICES
            }
            return cls(tables, tensors["fifths"].astype(np.float64))
        except KeyError as error:
            raise damaged(folder / WEIGHTS_FILE, error) from error


@cache
def default_rhythms() -> RhythmModel:
    """Return the model that ships, loaded once per process."""
    return RhythmModel.load()


def context(n_onsets: int, has_change: bool) -> int:
    """Give the context of a bar: how active the melody is, and whether the chord changes within the bar."""
    return 2 * int(np.searchsorted(ACTIVITY, n_onsets, side="right")) + int(has_change)
