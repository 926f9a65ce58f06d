"""Repetitions of a phrase vote on its notes: one that was sung wrong once is put right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.music.repetition import Repetition
from hf_model.notes.note import Note

CONTEXT = 3
"""So many pairs before and after a note must agree, but for one, for its repetition to have a vote."""

JOINED = 0.05
"""Seconds: a note that ends no earlier before the next is joined to it."""

ROOM = 0.06
"""Seconds that a note put in, and the one before it, have at least."""

KINDS = ("pitch", "extra", "missing")

WEIGHTS = {
    "pitch": (-2.39, 1.11, -4.28, 0.56),
    "extra": (-3.34, 1.10, -2.80, 0.53),
    "missing": (-1.60, 1.01, -2.64, 0.23),
}
"""Of :attr:`Correction.features`, by kind: a logistic regression, fitted by ``bench/music_structure.py --fit``."""

LOWEST_ODDS = -1.0
"""Logarithm of the odds from which a correction is made: songs have few mistakes, but those
that repetitions outvote are worth it."""


@dataclass(frozen=True)
class Correction:
    """A change that repetitions propose.

    Attributes
    ----------
    kind : {"pitch", "extra", "missing"}
        Another pitch for a note; a note to remove; a note to put in behind one.
    index : int
        The note.
    pitch : int
        The key it should have, or that of the note put in, before tuning.
    place : float
        Of a missing note: how far from the onset of ``index`` to the next, 0-1.
    votes, against : int
        Repetitions that have it so, and those that have it as it is.
    plausibility : float
        How much likelier the melody is with the change, in nats, judged by its keys and intervals alone.
    """

    kind: str
    index: int
    pitch: int
    place: float
    votes: int
    against: int
    plausibility: float

    @property
    def features(self) -> NDArray[np.float64]:
        """What the decision rests on (feature,): a constant, votes, votes against, plausibility; all bounded."""
        plausibility = float(np.clip(self.plausibility, -6.0, 6.0))
        return np.array([1.0, min(self.votes, 3), min(self.against, 3), plausibility])

    @property
    def odds(self) -> float:
        """Logarithm of the odds that the correction is right."""
        return float(np.dot(WEIGHTS[self.kind], self.features))


def agree(
    notes: Sequence[Note], repetitions: Sequence[Repetition], tuning: float = 0.0
) -> tuple[list[Note], list[Correction]]:
    """Let the repetitions of a phrase vote on its notes.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    repetitions : sequence of Repetition
        Of these notes, from :func:`hf_model.music.repetition.find_repetitions`.
    tuning : float
        The singer's offset from 440 Hz in semitones.

    Returns
    -------
    notes : list of Note
        Wrong pitches put right; a note too many given to its neighbour; a missing one put in, cut out of that before.
    corrections : list of Correction
        What was changed, in order.
    """
    likely = [correction for correction in proposals(notes, repetitions, tuning) if correction.odds >= LOWEST_ODDS]
    chosen: dict[int, Correction] = {}
    for correction in sorted(likely, key=lambda item: -item.odds):
        touched = range(correction.index - 1, correction.index + 2)
        if not any(index in chosen for index in touched):  # one mistake at a time: neighbours were its context
            chosen[correction.index] = correction
    line: list[Note] = []
    for index, note in enumerate(notes):
        if index not in chosen:
            line.append(note)
            continue
        correction = chosen[index]
        if correction.kind == "pitch":
            line.append(replace(note, pitch=float(np.clip(correction.pitch + tuning, 0.0, 127.0))))
        elif correction.kind == "extra":
            if line and note.onset - line[-1].offset < JOINED:
                line[-1] = replace(line[-1], offset=max(line[-1].offset, note.offset))
        else:
            line += _with_missing(note, notes[index + 1], correction, tuning)
    return line, [chosen[index] for index in sorted(chosen)]


def _with_missing(note: Note, following: Note, correction: Correction, tuning: float) -> list[Note]:
    """Put a note in behind another; where there is no room, leave the one as it is."""
    onset = note.onset + correction.place * (following.onset - note.onset)
    pitch = float(np.clip(correction.pitch + tuning, 0.0, 127.0))
    if min(onset - note.onset, following.onset - onset) < ROOM:
        return [note]
    return [
        replace(note, offset=min(note.offset, onset)),
        replace(note, onset=onset, offset=following.onset, pitch=pitch),
    ]


def proposals(notes: Sequence[Note], repetitions: Sequence[Repetition], tuning: float = 0.0) -> list[Correction]:
    """Collect what the repetitions have otherwise, with votes."""
    keys = [int(np.floor(note.pitch - tuning + 0.5)) for note in notes]
    ballots: dict[tuple[str, int], dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for repetition in repetitions:
        for kind, index, pitch, place, voter in _ballots(repetition, keys, notes):
            ballots[kind, index][pitch][voter] = place
    model = _Plausibility(keys)
    found = []
    for (kind, index), by_pitch in ballots.items():
        if kind not in KINDS:
            continue
        rivals = {"pitch": ("stay",), "extra": ("stay", "pitch"), "missing": ("follows",)}[kind]
        against = len({v for rival in rivals for voters in ballots.get((rival, index), {}).values() for v in voters})
        for pitch, voters in by_pitch.items():
            change = model.gain(kind, index, pitch)
            place = float(np.median(list(voters.values())))
            found.append(Correction(kind, index, pitch, place, len(voters), against, change))
    return found


def _ballots(
    repetition: Repetition, keys: Sequence[int], notes: Sequence[Note]
) -> Iterator[tuple[str, int, int, float, int]]:
    """Yield kind, note, pitch, place and voter for every note that a repetition has a say in."""
    shift = repetition.transposition
    pairs = repetition.pairs
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(pairs)]
    right = [keys[b] == keys[a] + shift for a, b in pairs]
    for k, (a, b) in enumerate(pairs):
        before, after = right[max(0, k - CONTEXT) : k], right[k + 1 : k + 1 + CONTEXT]
        if len(before) >= 2 and len(after) >= 2 and sum(before) + sum(after) >= len(before) + len(after) - 1:
            kind = "stay" if right[k] else "pitch"
            yield kind, a, keys[b] - shift, 0.0, b
            yield kind, b, keys[a] + shift, 0.0, a
        if k + 1 == len(pairs):
            continue
        before, after = right[max(0, k - CONTEXT + 1) : k + 1], right[k + 1 : k + 1 + CONTEXT]
        if len(before) < 2 or len(after) < 2 or sum(before) + sum(after) < len(before) + len(after):
            continue
        if steps[k] == (1, 1):
            yield "follows", a, 0, 0.0, b
            yield "follows", b, 0, 0.0, a
        elif steps[k] == (2, 1):
            yield "extra", a + 1, keys[a + 1], 0.0, b
            yield "missing", b, keys[a + 1] + shift, _place(notes, a), a + 1
        else:
            yield "extra", b + 1, keys[b + 1], 0.0, a
            yield "missing", a, keys[b + 1] - shift, _place(notes, b), b + 1


def _place(notes: Sequence[Note], index: int) -> float:
    """Tell how far the next note lies between its neighbours, 0-1."""
    a, b, c = (notes[index + k].onset for k in range(3))
    return (b - a) / (c - a) if c > a else 0.5


class _Plausibility:
    """How likely keys are: how common each pitch class is in the melody, and how small its intervals."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = keys
        counts = np.bincount(np.array(keys, dtype=np.int64) % 12, minlength=12) + 0.5
        self.classes = np.log(counts / counts.sum())

    def gain(self, kind: str, index: int, pitch: int) -> float:
        """Nats that a change makes the melody likelier."""
        keys = self.keys
        before = keys[index - 1] if index else keys[index]
        after = keys[min(index + 1, len(keys) - 1)]
        if kind == "pitch":
            return self._note(before, pitch, after) - self._note(before, keys[index], after)
        if kind == "extra":
            return self._leap(before, after) - self._note(before, keys[index], after)
        return self._note(keys[index], pitch, after) - self._leap(keys[index], after)

    def _note(self, before: int, key: int, after: int) -> float:
        return float(self.classes[key % 12]) + self._leap(before, key) + self._leap(key, after)

    def _leap(self, a: int, b: int) -> float:
        return -0.3 * abs(a - b)
