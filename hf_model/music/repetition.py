"""Phrases that a melody repeats: the matrix of how unlike its moments are, and where they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

MATCH, WRONG_PITCH, SKIPPED = 1.0, -1.0, -1.5
"""Score of two notes of one pitch; of two that differ; of a note left over."""

SAME_LENGTH, OTHER_LENGTH = 0.5, 1.0
"""Distances between onsets are the same within so many octaves (powers of two), and altogether different from there."""

WRONG_LENGTH = -0.7
"""Score of two notes that follow at another distance; where it is altogether different, the phrase ends."""

TRANSPOSED = 3.0
"""So much more must a repetition in another key score."""

SHORTEST = 6.0
"""Score from which two phrases are a repetition: about so many notes that agree."""

CLOSEST = 4
"""So many notes at least lie between the beginnings of two phrases: a repeated note is no phrase."""

FEWEST_PITCHES = 3
"""Keys in a phrase: to recite on one or two is to repeat nothing."""

MOST_SHIFTS = 4
"""So many transpositions are looked at."""

FEWEST_RUNS = 3
"""So many runs of five notes must come again in another key for it to be looked at."""

MOST_NOTES = 800
"""Longer melodies are not searched for repetitions: the table grows with the square."""

WINDOW = 4.0
"""Seconds of melody that are compared around two moments."""

_MOVES = ((1, 1), (2, 1), (1, 2))
"""Steps of the alignment: both go on; the first has a note more; the second has."""


@dataclass(frozen=True)
class Repetition:
    """A phrase that comes again.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Notes that correspond, by index, in order: the earlier and the later one.
    transposition : int
        Semitones by which the later one is higher.
    score : float
        About the number of notes that agree.
    """

    pairs: tuple[tuple[int, int], ...]
    transposition: int
    score: float

    @property
    def first(self) -> tuple[int, int]:
        """First and last note of the earlier phrase."""
        return self.pairs[0][0], self.pairs[-1][0]

    @property
    def phrases(self) -> list[tuple[int, int]]:
        """First and last note of each phrase; what follows itself at once (AAA) is cut into its parts."""
        start, end, period = self.first[0], self.second[1], self.second[0] - self.first[0]
        if self.first[1] < self.second[0]:
            return [self.first, self.second]
        starts = range(start, end + 1, period)
        return [(s, min(s + period, end + 1) - 1) for s in starts if end + 1 - s > period // 2]

    @property
    def second(self) -> tuple[int, int]:
        """First and last note of the later phrase."""
        return self.pairs[0][1], self.pairs[-1][1]


def dissimilarity(
    notes: Sequence[Note], times: NDArray[np.float64], window: float = WINDOW, *, transposed: bool = True
) -> NDArray[np.float64]:
    """Compare every moment of a melody with every other by what the pitch contour does around it.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    times : ndarray, shape (time,)
        Evenly spaced seconds.
    window : float
        Seconds that are compared, half of them before and half after the moment.
    transposed : bool
        Whether a phrase in another key counts as the same.

    Returns
    -------
    ndarray, shape (time, time)
        Mean distance of the contours in semitones, 0 on the diagonal; in rests the last pitch goes on.

    References
    ----------
    After the self-distance matrices of J. Foote, "Visualizing music and audio using self-similarity" (1999).
    """
    if not notes:
        return np.zeros((len(times), len(times)))
    step = float(times[1] - times[0]) if len(times) > 1 else window
    reach = max(1, round(window / 2 / step))
    wide = times[0] + step * np.arange(-reach, len(times) + reach)
    which = np.clip(np.searchsorted([note.onset for note in notes], wide, side="right") - 1, 0, None)
    contour = np.array([note.pitch for note in notes])[which]
    around = np.lib.stride_tricks.sliding_window_view(contour, 2 * reach + 1)
    if transposed:
        around = around - np.median(around, axis=1, keepdims=True)
    return np.asarray([np.abs(around - row).mean(axis=1) for row in around])


def find_repetitions(notes: Sequence[Note], tuning: float = 0.0) -> list[Repetition]:
    """Find phrases that are sung more than once, in the same or another key, with single mistakes between.

    The melody is aligned with itself, locally (Smith and Waterman), by pitch and by the distances between onsets; a
    note may be left over on either side.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    tuning : float
        The singer's offset from 440 Hz in semitones.

    Returns
    -------
    list of Repetition
        Pairs of phrases, the best first.

    References
    ----------
    T. F. Smith and M. S. Waterman, "Identification of common molecular subsequences", J. Mol. Biol. 147 (1981).
    """
    if not 4 <= len(notes) <= MOST_NOTES:
        return []
    keys = np.array([np.floor(note.pitch - tuning + 0.5) for note in notes]).astype(np.int64)
    onsets = np.array([note.onset for note in notes])
    found = []
    for shift in _likely_shifts(keys):
        aligned = _aligned(keys, onsets, shift, SHORTEST + TRANSPOSED * (shift != 0))
        found += [r for r in aligned if len({int(keys[a]) for a, _ in r.pairs}) >= FEWEST_PITCHES]
    return sorted(found, key=lambda repetition: -repetition.score)


def _likely_shifts(keys: NDArray[np.int64]) -> list[int]:
    """Choose the transpositions between which runs of five notes come again; 0 is always among them."""
    places = defaultdict(list)
    steps = np.diff(keys)
    for i in range(len(steps) - 3):
        places[steps[i : i + 4].tobytes()].append(int(keys[i]))
    counts: Counter[int] = Counter()
    for pitches in places.values():
        counts.update(b - a for k, a in enumerate(pitches[:20]) for b in pitches[k + 1 : 20] if 0 < abs(b - a) <= 12)
    return [0, *(shift for shift, count in counts.most_common(MOST_SHIFTS - 1) if count >= FEWEST_RUNS)]


def _aligned(keys: NDArray[np.int64], onsets: NDArray[np.float64], shift: int, lowest: float) -> list[Repetition]:
    """Align a melody with itself so many semitones higher."""
    n = len(keys)
    scores = np.zeros((n + 2, n + 2), dtype=np.float32)  # two empty rows and columns in front
    moves = np.full((n + 2, n + 2), -1, dtype=np.int8)
    origins = np.full((n + 2, n + 2), -1, dtype=np.int64)
    columns = np.arange(n)
    for i in range(n):
        note = np.where(keys == keys[i] + shift, MATCH, WRONG_PITCH)
        best = np.zeros(n, dtype=np.float32)
        move, origin = np.full(n, -1, dtype=np.int8), i * n + columns
        for number, (down, right) in enumerate(_MOVES):
            before = scores[i + 2 - down, 2 - right : 2 - right + n]
            ratio = _distances(onsets, right) / (onsets[i] - onsets[i - down] if i >= down else np.inf)
            with np.errstate(divide="ignore"):
                octaves = np.abs(np.log2(ratio))
            rhythm = np.where(octaves <= SAME_LENGTH, 0.0, np.where(octaves <= OTHER_LENGTH, WRONG_LENGTH, -np.inf))
            score = before + rhythm + SKIPPED * (number > 0)
            better = (before > 0) & (score > best)
            best = np.where(better, score, best)
            move = np.where(better, number, move).astype(np.int8)
            origin = np.where(better, origins[i + 2 - down, 2 - right : 2 - right + n], origin)
        total = best + note
        alive = (columns >= i + CLOSEST) & (total > 0)
        scores[i + 2, 2:] = np.where(alive, total, 0.0)
        moves[i + 2, 2:] = move
        origins[i + 2, 2:] = np.where(alive, origin, -1)
    return _traced(scores, moves, origins, shift, lowest)


def _distances(onsets: NDArray[np.float64], back: int) -> NDArray[np.float64]:
    """Give seconds since the onset ``back`` notes before (note,); nothing for the first ones."""
    return np.concatenate([np.zeros(min(back, len(onsets))), onsets[back:] - onsets[:-back]])


def _traced(
    scores: NDArray[np.float32], moves: NDArray[np.int8], origins: NDArray[np.int64], shift: int, lowest: float
) -> list[Repetition]:
    """Follow the best alignment from each origin back."""
    ends = np.argwhere(scores >= lowest)
    ends = ends[np.argsort(-scores[ends[:, 0], ends[:, 1]], kind="stable")]
    seen: set[int] = set()
    found = []
    for i, j in ends:
        origin = int(origins[i, j])
        if origin in seen:
            continue
        seen.add(origin)
        pairs = []
        place = (int(i), int(j))
        while True:
            pairs.append((place[0] - 2, place[1] - 2))
            move = int(moves[place])
            if move < 0:
                break
            place = (place[0] - _MOVES[move][0], place[1] - _MOVES[move][1])
        pairs.reverse()
        found.append(Repetition(tuple(pairs), shift, float(scores[i, j])))
    return found
