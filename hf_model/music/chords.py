"""Chords for a melody: a small model trained on pop songs, in the key and on the beats that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.music.key import MODES, Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.weights import WEIGHTS

MODEL = WEIGHTS / "harmony"

N_CHORDS = 24
"""Chord ``2 * steps + minor``: its root so many semitones above the keynote, and whether it is minor."""

WINDOWS = ((0, 1), (1, 2), (-1, 0), (-2, 3), (2, 5), (-4, -1), (4, 9))
"""Beats from and to which the melody's pitch classes are summed, counted from the beat that is judged."""

N_FEATURES = 12 * (len(WINDOWS) + 1) + 1

LEAST = 0.25
"""Beats of singing; a window with less in it counts for less."""


@dataclass(frozen=True)
class Chord:
    """A chord for some time.

    Attributes
    ----------
    onset, offset : float
        Seconds.
    root : int
        Pitch class, 0 is C.
    is_minor : bool
    """

    onset: float
    offset: float
    root: int
    is_minor: bool

    @property
    def pitch_classes(self) -> tuple[int, int, int]:
        """Root, third, fifth."""
        return self.root, (self.root + 4 - self.is_minor) % 12, (self.root + 7) % 12


@dataclass(frozen=True, eq=False)
class ChordModel:
    """What pop songs do, by mode of the key (0 major, 1 minor).

    Attributes
    ----------
    emission : ndarray, shape (mode, feature, chord)
        Of a softmax regression.
    transition : ndarray, shape (mode, chord, chord)
        Logarithm of the share of changes from one chord that go to another.
    change : ndarray, shape (beat of a bar of four,)
        Share of beats on which the chord changes.
    """

    emission: NDArray[np.float64]
    transition: NDArray[np.float64]
    change: NDArray[np.float64]

    @classmethod
    def load(cls, folder: Path = MODEL) -> ChordModel:
        """Read the model that ships, or another."""
        from safetensors.numpy import load_file

        tables = {name: table.astype(np.float64) for name, table in load_file(folder / "model.safetensors").items()}
        return cls(tables["emission"], tables["transition"], tables["change"])


@cache
def default_model() -> ChordModel:
    """Give the model that ships, loaded once in a process."""
    return ChordModel.load()


def estimate_chords(notes: Sequence[Note], key: Key, tempo: Tempo, model: ChordModel | None = None) -> list[Chord]:
    """Find chords that go with a melody.

    Parameters
    ----------
    notes : sequence of Note
        Keys of a piano, one voice, sorted by onset.
    key : Key
        Of these notes.
    tempo : Tempo
        Where chords may change.
    model : ChordModel, optional
        The one that ships when not given.

    Returns
    -------
    list of Chord
        Major and minor ones, one after the other, from the beat on which the melody begins to the one on which it ends.
    """
    if not notes:
        return []
    model = model or default_model()
    first = int(np.floor(tempo.to_beats(notes[0].onset) + 0.1))
    last = max(first + 1, int(np.ceil(tempo.to_beats(notes[-1].offset) - 0.1)))
    beats = np.arange(first, last + 1)
    mode = MODES.index(key.mode)
    rolls = np.roll(pitch_class_rolls(notes, tempo.to_seconds(beats)), -key.tonic, axis=1)
    scores = features(rolls) @ model.emission[mode]
    scores -= np.logaddexp.reduce(scores, axis=1)[:, None]
    path = _best_path(scores, model.transition[mode], _changes(model, tempo, beats[:-1]))
    starts = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    seconds = np.maximum(tempo.to_seconds(beats), 0.0)
    return [
        Chord(float(seconds[a]), float(seconds[b]), int(path[a] // 2 + key.tonic) % 12, bool(path[a] % 2))
        for a, b in pairwise(starts)
        if seconds[b] > seconds[a]
    ]


def pitch_class_rolls(notes: Sequence[Note], beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum how long each pitch class sounds between beats, as shares of the beat.

    Returns
    -------
    ndarray, shape (beat - 1, pitch class)
    """
    rolls = np.zeros((len(beats) - 1, 12))
    for note in notes:
        sounding = np.minimum(note.offset, beats[1:]) - np.maximum(note.onset, beats[:-1])
        rolls[:, int(note.pitch) % 12] += np.maximum(sounding, 0.0) / np.diff(beats)
    return rolls


def features(rolls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Describe what is sung around each beat, in the key.

    Parameters
    ----------
    rolls : ndarray, shape (beat, pitch class)
        Pitch classes counted from the keynote.

    Returns
    -------
    ndarray, shape (beat, N_FEATURES)
        Shares of the pitch classes in each of ``WINDOWS`` and in the whole melody, and 1.
    """
    n = len(rolls)
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(rolls, axis=0)])
    places = np.arange(n)
    windows = [sums[np.clip(places + b, 0, n)] - sums[np.clip(places + a, 0, n)] for a, b in WINDOWS]
    shares = [window / np.maximum(window.sum(axis=1, keepdims=True), LEAST) for window in windows]
    whole = sums[-1] / max(float(sums[-1].sum()), LEAST)
    return np.concatenate([*shares, np.tile(whole, (n, 1)), np.ones((n, 1))], axis=1)


def _changes(model: ChordModel, tempo: Tempo, beats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the share of chords that change on each beat (beat,)."""
    place = (beats - tempo.downbeat) % tempo.beats_per_bar
    table = model.change if tempo.beats_per_bar == 4 else model.change[[0, 1, 1]]
    return table[np.minimum(place, len(table) - 1)]


def _best_path(
    scores: NDArray[np.float64], transition: NDArray[np.float64], changes: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the likeliest chords (Viterbi) from log-likelihoods (beat, chord)."""
    best = scores[0]
    came_from = np.zeros(scores.shape, dtype=np.int64)
    same = np.eye(N_CHORDS, dtype=bool)
    for i in range(1, len(scores)):
        step = np.where(same, np.log1p(-changes[i]), np.log(changes[i]) + transition)
        arriving = best[:, None] + step
        came_from[i] = arriving.argmax(axis=0)
        best = arriving.max(axis=0) + scores[i]
    path = [int(best.argmax())]
    for i in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[i, path[-1]]))
    return np.array(path[::-1], dtype=np.int64)
