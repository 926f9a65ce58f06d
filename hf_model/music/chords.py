"""Chord estimation for a melody, by a small network and a chain of chords, both fitted to pop songs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.music.key import MODES, Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.weights import WEIGHTS, WEIGHTS_FILE, damaged, read_tensors

MODEL = WEIGHTS / "harmony"

N_CHORDS = 24
"""Chord ``2 * semitones + is_minor``: the root in semitones above the tonic, and the quality."""

N_FEATURES = 37
"""Pitch classes in both halves of a beat and in the whole melody, and the mode."""

DILATIONS = (1, 2, 4, 8)
"""Beats between the three inputs of each layer's convolution: the network sees 15 beats on both sides."""

WHOLE = 3.0
"""Factor of the pitch classes of the whole melody, which are small beside those of a beat."""

MIN_BEATS = 0.25
"""Beats of singing; with less, the pitch classes of the whole melody have less weight."""

Float = NDArray[np.float64]

NETWORK = (
    "input",
    "input_bias",
    *(
        f"{layer}{number}{kind}"
        for number in range(len(DILATIONS))
        for layer in ("wide", "mix")
        for kind in ("", "_bias")
    ),
    "output",
    "output_bias",
)
"""Weights (input, output) and biases (output,) of the network; those of "wide" layers are (3, input, output)."""


@dataclass(frozen=True)
class Chord:
    """A major or minor triad with onset and offset.

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
    """Model of the chords of pop songs.

    Attributes
    ----------
    network : mapping of str to ndarray
        Weights of :func:`chord_scores`.
    transition : ndarray, shape (mode, chord, chord)
        Log-probability of the next chord, given that the chord changes; by mode of the key (0 major, 1 minor).
    change : ndarray, shape (beat of a bar of four,)
        Probability of a chord change.
    """

    network: Mapping[str, Float]
    transition: Float
    change: Float

    @classmethod
    def load(cls, folder: Path = MODEL) -> ChordModel:
        """Read a model, by default the one that ships.

        Raises
        ------
        FileNotFoundError
            If the folder holds no model.
        WeightsError
            If the model is damaged.
        """
        tables = {name: table.astype(np.float64) for name, table in read_tensors(folder).items()}
        try:
            transition, change = tables.pop("transition"), tables.pop("change")
            return cls({name: tables[name] for name in NETWORK}, transition, change)
        except KeyError as error:
            raise damaged(folder / WEIGHTS_FILE, error) from error


@cache
def default_model() -> ChordModel:
    """Return the model that ships, loaded once per process."""
    return ChordModel.load()


def estimate_chords(notes: Sequence[Note], key: Key, tempo: Tempo, model: ChordModel | None = None) -> list[Chord]:
    """Estimate the chords of a melody.

    Parameters
    ----------
    notes : sequence of Note
        Piano keys, one voice, sorted by onset.
    key : Key
        Of these notes.
    tempo : Tempo
        Chords change on its beats.
    model : ChordModel, optional
        By default the one that ships.

    Returns
    -------
    list of Chord
        Without gaps, from the beat on which the melody begins to the one on which it ends.
    """
    if not notes:
        return []
    model = model or default_model()
    first = int(np.floor(tempo.to_beats(notes[0].onset) + 0.1))
    last = max(first + 1, int(np.ceil(tempo.to_beats(notes[-1].offset) - 0.1)))
    beats = np.arange(first, last + 1)
    mode = MODES.index(key.mode)
    halves = np.arange(2 * first, 2 * last + 1) / 2
    rolls = np.roll(pitch_class_rolls(notes, tempo.to_seconds(halves)), -key.tonic, axis=1)
    scores = chord_scores(features(rolls, mode), model.network)
    scores -= np.logaddexp.reduce(scores, axis=1)[:, None]
    path = best_path(scores, chord_steps(model.transition[mode], _changes(model, tempo, beats[:-1])))
    starts = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    seconds = np.maximum(tempo.to_seconds(beats), 0.0)
    return [
        Chord(float(seconds[a]), float(seconds[b]), int(path[a] // 2 + key.tonic) % 12, bool(path[a] % 2))
        for a, b in pairwise(starts)
        if seconds[b] > seconds[a]
    ]


def pitch_class_rolls(notes: Sequence[Note], beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of each beat in which each pitch class sounds.

    Returns
    -------
    ndarray, shape (beat - 1, pitch class)
    """
    rolls = np.zeros((len(beats) - 1, 12))
    for note in notes:
        sounding = np.minimum(note.offset, beats[1:]) - np.maximum(note.onset, beats[:-1])
        rolls[:, int(note.pitch) % 12] += np.maximum(sounding, 0.0) / np.diff(beats)
    return rolls


def features(rolls: Float, mode: int) -> Float:
    """Compute the input of the network for each beat.

    Parameters
    ----------
    rolls : ndarray, shape (2 * beat, pitch class)
        Shares of each half beat, pitch classes relative to the tonic.
    mode : int
        0 major, 1 minor.

    Returns
    -------
    ndarray, shape (beat, N_FEATURES)
    """
    n_beats = len(rolls) // 2
    whole = rolls.sum(axis=0)
    whole = WHOLE * whole / max(float(whole.sum()), MIN_BEATS)
    parts = [rolls.reshape(n_beats, 24), np.tile(whole, (n_beats, 1)), np.full((n_beats, 1), float(mode))]
    return np.concatenate(parts, axis=1)


def chord_scores(described: Float, network: Mapping[str, Float]) -> Float:
    """Compute the scores (beat, chord) of features (beat, N_FEATURES): dilated convolutions with residuals."""
    hidden = described @ network["input"] + network["input_bias"]
    for number, dilation in enumerate(DILATIONS):
        padded = np.pad(hidden, ((dilation, dilation), (0, 0)))
        taps = (padded[k * dilation : k * dilation + len(hidden)] @ network[f"wide{number}"][k] for k in range(3))
        wide = np.maximum(sum(taps, network[f"wide{number}_bias"]), 0.0)
        hidden = hidden + wide @ network[f"mix{number}"] + network[f"mix{number}_bias"]
    return np.asarray(np.maximum(hidden, 0.0) @ network["output"] + network["output_bias"])


def _changes(model: ChordModel, tempo: Tempo, beats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of a chord change on each beat (beat,)."""
    place = (beats - tempo.downbeat) % tempo.beats_per_bar
    table = model.change if tempo.beats_per_bar == 4 else model.change[[0, 1, 1]]
    return table[np.minimum(place, len(table) - 1)]


def chord_steps(transition: NDArray[np.float64], changes: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Give the log-probabilities (from, to) of each beat after the first, by the probability of a change (beat,)."""
    same = np.eye(N_CHORDS, dtype=bool)
    for change in changes[1:]:
        yield np.where(same, np.log1p(-change), np.log(change) + transition)


def best_path(scores: NDArray[np.float64], steps: Iterable[NDArray[np.float64]]) -> NDArray[np.int64]:
    """Find the path of states with the greatest sum (Viterbi).

    Parameters
    ----------
    scores : ndarray, shape (time, state)
        Of each state, for instance its log-likelihood.
    steps : iterable of ndarray, shape (state, state)
        Of going from one state to another, for each time after the first.

    Returns
    -------
    ndarray of int, shape (time,)
        Of equal paths, the one with the lowest states at the end.
    """
    best = scores[0]
    came_from = np.zeros(scores.shape, dtype=np.int64)
    for i, (own, step) in enumerate(zip(scores[1:], steps, strict=True), start=1):
        arriving = best[:, None] + step
        came_from[i] = arriving.argmax(axis=0)
        best = arriving.max(axis=0) + own
    path = [int(best.argmax())]
    for i in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[i, path[-1]]))
    return np.array(path[::-1], dtype=np.int64)
