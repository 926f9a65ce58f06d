"""Repeated phrases of a melody, by alignment with itself, and the self-distance matrix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note

MATCH, WRONG_PITCH, SKIPPED = 1.0, -1.0, -1.5
"""Scores of two notes with the same pitch, of two with different pitches, and of a note without a partner."""

EQUAL_INTERVAL, SIMILAR_INTERVAL = 0.5, 1.0
"""Powers of two between two inter-onset intervals: up to here they count as equal, and up to here as similar."""

SIMILAR = -0.7
"""Score of two notes with similar inter-onset intervals; if they are not even similar, the phrase ends."""

TRANSPOSED = 3.0
"""Additional score that a transposed repetition needs."""

MIN_SCORE = 6.0
"""Score of a repetition: about the number of matching notes."""

MIN_PERIOD = 4
"""Notes between the beginnings of two phrases: repeated notes are no phrase."""

MIN_PITCHES = 3
"""Different pitches in a phrase: recitation on one or two is no repetition."""

MAX_TRANSPOSITIONS = 4
"""Transpositions that are searched."""

MIN_RUNS = 3
"""Runs of five notes that must recur at a transposition for it to be searched."""

MAX_NOTES = 800
"""Longer melodies are not searched: the time grows with the square."""

WINDOW = 4.0
"""Seconds around two times that are compared."""

_MOVES = ((1, 1), (2, 1), (1, 2))
"""Steps of the alignment: one note in each phrase; an extra note in the first; an extra note in the second."""


@dataclass(frozen=True)
class Repetition:
    """A repeated phrase.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Indices of corresponding notes, in order: in the earlier and in the later phrase.
    transposition : int
        Semitones by which the later phrase is higher.
    score : float
        About the number of matching notes.
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
        """First and last note of each phrase; immediate repetitions (AAA) are split."""
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
    """Compute the self-distance matrix of a melody from the pitch contour around each time.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    times : ndarray, shape (time,)
        Evenly spaced seconds.
    window : float
        Seconds that are compared, centred on the time.
    transposed : bool
        Whether transposed phrases count as equal.

    Returns
    -------
    ndarray, shape (time, time)
        Mean distance of the contours in semitones, 0 on the diagonal; the pitch is held during rests.

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
    """Find phrases that are sung more than once, possibly transposed and with single mistakes.

    Local alignment of the melody with itself (Smith and Waterman) by pitch and inter-onset intervals; either phrase may
    have single extra notes.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    tuning : float
        The singer's offset from 440 Hz in semitones.

    Returns
    -------
    list of Repetition
        Pairs of phrases, highest score first.

    References
    ----------
    T. F. Smith and M. S. Waterman, "Identification of common molecular subsequences", J. Mol. Biol. 147 (1981).
    """
    if not 4 <= len(notes) <= MAX_NOTES:
        return []
    keys = np.array([np.floor(note.pitch - tuning + 0.5) for note in notes]).astype(np.int64)
    onsets = np.array([note.onset for note in notes])
    found = []
    for shift in _likely_shifts(keys):
        aligned = _aligned(keys, onsets, shift, MIN_SCORE + TRANSPOSED * (shift != 0))
        found += [r for r in aligned if len({int(keys[a]) for a, _ in r.pairs}) >= MIN_PITCHES]
    return sorted(found, key=lambda repetition: -repetition.score)


def _likely_shifts(keys: NDArray[np.int64]) -> list[int]:
    """Choose the transpositions at which most runs of five notes recur; 0 is always among them."""
    places = defaultdict(list)
    steps = np.diff(keys)
    for i in range(len(steps) - 3):
        places[steps[i : i + 4].tobytes()].append(int(keys[i]))
    counts: Counter[int] = Counter()
    for pitches in places.values():
        counts.update(b - a for k, a in enumerate(pitches[:20]) for b in pitches[k + 1 : 20] if 0 < abs(b - a) <= 12)
    return [0, *(shift for shift, count in counts.most_common(MAX_TRANSPOSITIONS - 1) if count >= MIN_RUNS)]


def _aligned(keys: NDArray[np.int64], onsets: NDArray[np.float64], shift: int, min_score: float) -> list[Repetition]:
    """Align a melody with itself ``shift`` semitones higher."""
    n = len(keys)
    scores = np.zeros((n + 2, n + 2), dtype=np.float32)  # two empty rows and columns in front
    moves = np.full((n + 2, n + 2), -1, dtype=np.int8)
    origins = np.full((n + 2, n + 2), -1, dtype=np.int64)
    columns = np.arange(n)
    distances = {back: _distances(onsets, back) for back in (1, 2)}
    for i in range(n):
        note = np.where(keys == keys[i] + shift, MATCH, WRONG_PITCH)
        best = np.zeros(n, dtype=np.float32)
        move, origin = np.full(n, -1, dtype=np.int8), i * n + columns
        for number, (down, right) in enumerate(_MOVES):
            before = scores[i + 2 - down, 2 - right : 2 - right + n]
            interval = onsets[i] - onsets[i - down] if i >= down else np.inf
            with np.errstate(divide="ignore", invalid="ignore"):  # of notes at the same time it is 0
                octaves = np.abs(np.log2(distances[right] / interval))
            rhythm = np.where(octaves <= EQUAL_INTERVAL, 0.0, np.where(octaves <= SIMILAR_INTERVAL, SIMILAR, -np.inf))
            score = before + rhythm + SKIPPED * (number > 0)
            better = (before > 0) & (score > best)
            best = np.where(better, score, best)
            move = np.where(better, number, move).astype(np.int8)
            origin = np.where(better, origins[i + 2 - down, 2 - right : 2 - right + n], origin)
        total = best + note
        alive = (columns >= i + MIN_PERIOD) & (total > 0)
        scores[i + 2, 2:] = np.where(alive, total, 0.0)
        moves[i + 2, 2:] = move
        origins[i + 2, 2:] = np.where(alive, origin, -1)
    return _traced(scores, moves, origins, shift, min_score)


def _distances(onsets: NDArray[np.float64], back: int) -> NDArray[np.float64]:
    """Compute the seconds since the onset ``back`` notes earlier (note,); 0 for the first notes."""
    return np.concatenate([np.zeros(min(back, len(onsets))), onsets[back:] - onsets[:-back]])


def _traced(
    scores: NDArray[np.float32], moves: NDArray[np.int8], origins: NDArray[np.int64], shift: int, min_score: float
) -> list[Repetition]:
    """Trace back the best alignment from each origin."""
    ends = np.argwhere(scores >= min_score)
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
