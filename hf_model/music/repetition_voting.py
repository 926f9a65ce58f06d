"""Correction of single wrong notes in repeated phrases, by a vote among the repetitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.music.fitted import load_fitted
from hf_model.music.repetition import Repetition
from hf_model.notes.note import Note

CONTEXT = 3
"""Pairs before and after a note that must agree, but for one, for its repetition to have a vote."""

JOINED = 0.05
"""Seconds; the note before a removed one is extended over it if the gap between them is shorter."""

MIN_NOTE = 0.06
"""Seconds that an inserted note and the one before it last at least."""

KINDS = ("pitch", "extra", "missing")

MIN_LOG_ODDS = -1.0
"""A correction is made from these log odds: below even odds, because the fit saw few mistakes."""


@dataclass(frozen=True)
class Correction:
    """A change proposed by repetitions.

    Attributes
    ----------
    kind : {"pitch", "extra", "missing"}
        Another pitch for a note; a note to remove; a note to insert after one.
    index : int
        The note.
    pitch : int
        The key of the corrected or inserted note, before tuning.
    place : float
        Onset of a missing note between those of ``index`` and the next note, 0-1.
    votes, against : int
        Repetitions with the change, and those without.
    plausibility : float
        Gain in the log-likelihood of the melody, from its pitch classes and intervals.
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
        """Input of the logistic regression (feature,): 1, votes, votes against, plausibility; all bounded."""
        plausibility = float(np.clip(self.plausibility, -6.0, 6.0))
        return np.array([1.0, min(self.votes, 3), min(self.against, 3), plausibility])

    @property
    def log_odds(self) -> float:
        """Log odds that the correction is right."""
        return float(np.dot(load_fitted("repetition_voting")["decision_weights"][self.kind], self.features))


def agree(
    notes: Sequence[Note], repetitions: Sequence[Repetition], tuning: float = 0.0
) -> tuple[list[Note], list[Correction]]:
    """Correct single notes by a vote among the repetitions of a phrase.

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
        With wrong pitches corrected, extra notes merged into the note before, and missing notes inserted.
    corrections : list of Correction
        In order.
    """
    likely = [correction for correction in proposals(notes, repetitions, tuning) if correction.log_odds >= MIN_LOG_ODDS]
    chosen: dict[int, Correction] = {}
    for correction in sorted(likely, key=lambda item: -item.log_odds):
        touched = range(correction.index - 1, correction.index + 2)
        if not any(index in chosen for index in touched):  # neighbours were the context of a correction
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
    """Insert a note after another, if both can last ``MIN_NOTE``."""
    onset = note.onset + correction.place * (following.onset - note.onset)
    pitch = float(np.clip(correction.pitch + tuning, 0.0, 127.0))
    if min(onset - note.onset, following.onset - onset) < MIN_NOTE:
        return [note]
    return [
        replace(note, offset=min(note.offset, onset)),
        replace(note, onset=onset, offset=following.onset, pitch=pitch),
    ]


def proposals(notes: Sequence[Note], repetitions: Sequence[Repetition], tuning: float = 0.0) -> list[Correction]:
    """Collect the differences between repetitions, with votes."""
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
    """Yield kind, note, pitch, place and voter for every note on which a repetition votes."""
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
    """Compute the onset of the next note relative to its neighbours', 0-1."""
    a, b, c = (notes[index + k].onset for k in range(3))
    return (b - a) / (c - a) if c > a else 0.5


class _Plausibility:
    """Log-likelihood of keys by how common their pitch classes are in the melody, and by the size of intervals."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = keys
        counts = np.bincount(np.array(keys, dtype=np.int64) % 12, minlength=12) + 0.5
        self.classes = np.log(counts / counts.sum())

    def gain(self, kind: str, index: int, pitch: int) -> float:
        """Gain in log-likelihood by a change."""
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
