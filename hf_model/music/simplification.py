"""Simplification of a melody in levels, down to what a beginner can play with one hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.music.chords import best_path
from hf_model.music.tempo import Tempo
from hf_model.notes.melodic_similarity import similarities
from hf_model.notes.note import Note
from hf_model.notes.ornaments import remove_ornaments

LEVELS = (0, 1, 2, 3)

REST = 0.25
"""Seconds; a gap that divides phrases. Notes are not held through it."""

MIN_TEMPO_CONFIDENCE = 0.4
"""From this confidence on, the metre is part of the weights of notes."""

EIGHTHS = (0.2, 0.32)
"""Seconds; without a reliable tempo the median inter-onset interval, within these bounds, counts as an eighth."""

SLACK = 0.75
"""Minimum inter-onset interval as a share of the note value: singers are not exact."""

LONG, SHORT_PHRASE = 1.9, 4
"""Of the median inter-onset interval: a longer note ends a phrase; and notes that a phrase has at least."""

OUTLIER = 12
"""Semitones above the median of a phrase: a single higher note is not its peak."""

MIN_SIMILARITY, SEARCHES = 0.9, 16
"""Of a skeleton with the whole melody; otherwise more notes are kept: so many parts of them are told apart."""

HAND = 7
"""Semitones that a hand spans: five white keys."""

MOVE, MOVE_IN_REST, FARTHER, FOLD, LEAVE_OUT, KEPT = 1.0, 0.4, 0.05, 1.4, 0.8, 1e3
"""Costs: moving the hand, moving it in a rest, each semitone of the move, a change of octave, leaving a note out, and
leaving out or moving one that must stay."""


def simplify(notes: Sequence[Note], level: int, tempo: Tempo | None = None) -> list[Note]:
    """Reduce a melody to its most important notes.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset; float pitches or piano keys.
    level : int
        0: all notes. 1: without ornaments and fragments. 2: mostly eighths. 3: mostly quarters, for one hand that
        seldom leaves five neighbouring white keys; more notes where the melody would not be recognised. From 2 on, the
        highest and the last note of each phrase stay.
    tempo : Tempo, optional
        Used from a confidence of ``MIN_TEMPO_CONFIDENCE`` on, for metrical weights and the length of an eighth.

    Returns
    -------
    list of Note
        At most as many, in order. A note is extended over those removed after it; only level 3 changes pitches, by
        octaves.

    Raises
    ------
    ConfigError
        If ``level`` is not 0 to 3.
    """
    check_range("simplify", level, LEVELS[0], LEVELS[-1])
    kept = list(notes)
    if level >= 1:
        kept = remove_ornaments(kept)
    if level == 2:
        kept = _most_important(kept, tempo, _eighth(kept, tempo))
    elif level == 3:
        kept = _skeleton(kept, tempo, 2 * _eighth(kept, tempo))
    return kept


def _skeleton(notes: Sequence[Note], tempo: Tempo | None, value: float) -> list[Note]:
    """Keep one note a note value and as few of the others as a similar melody needs, for one hand."""
    if not notes:
        return []
    weights, marked = _weights(notes, tempo, value), landmarks(notes)
    chosen = _largest_weights(notes, weights, SLACK * value, marked)
    others = sorted(set(range(len(notes))) - set(chosen), key=lambda index: -weights[index])

    def with_more(n_others: int) -> list[Note]:
        kept = sorted([*chosen, *others[:n_others]])
        line = _extended(notes, kept)
        return one_hand(line, _weights(line, tempo, value), marked[kept])

    fewest, enough = -1, len(others)
    while enough - fewest > max(1, len(others) // SEARCHES):
        middle = (fewest + enough) // 2
        if similarities(notes, [with_more(middle)], 1)[0] >= MIN_SIMILARITY:
            enough = middle
        else:
            fewest = middle
    return with_more(enough)


def landmarks(notes: Sequence[Note]) -> NDArray[np.bool_]:
    """Mark the highest and the last note of each phrase, by which a listener knows the tune.

    A phrase ends at a rest or with a long note; of equally high notes the longest is marked.
    """
    marked = np.zeros(len(notes), dtype=bool)
    onsets = np.array([note.onset for note in notes])
    intervals = np.diff(onsets)
    first = 0
    for last, note in enumerate(notes):
        is_end = last == len(notes) - 1
        if not is_end:
            is_long = intervals[last] >= LONG * np.median(intervals) or notes[last + 1].onset - note.offset >= REST
            is_end = bool(is_long and last - first + 1 >= SHORT_PHRASE)
        if is_end:
            phrase = notes[first : last + 1]
            peak = first + max(range(len(phrase)), key=lambda k: (phrase[k].pitch, phrase[k].duration))
            middle = float(np.median([note.pitch for note in phrase]))
            marked[peak] = marked[peak] or notes[peak].pitch - middle <= OUTLIER
            marked[last] = True
            first = last + 1
    return marked


def _eighth(notes: Sequence[Note], tempo: Tempo | None) -> float:
    """Return the length of half a beat (a third in 6/8) in seconds."""
    if tempo is not None and tempo.confidence >= MIN_TEMPO_CONFIDENCE:
        return 60.0 / tempo.bpm / (3 if tempo.is_compound else 2)
    onsets = [note.onset for note in notes]
    return float(np.clip(np.median(np.diff(onsets)), *EIGHTHS)) if len(onsets) > 1 else EIGHTHS[1]


def _most_important(notes: Sequence[Note], tempo: Tempo | None, value: float) -> list[Note]:
    """Choose the notes with the largest weights, none closer to its neighbour than a note value in seconds."""
    kept = _largest_weights(notes, _weights(notes, tempo, value), SLACK * value, landmarks(notes))
    return _extended(notes, kept)


def _weights(notes: Sequence[Note], tempo: Tempo | None, value: float) -> NDArray[np.float64]:
    """Compute weights from the place in the bar, duration, turning points of the contour and ends of phrases.

    Returns
    -------
    ndarray, shape (note,)
        About 0.3 to 3.5.
    """
    if not notes:
        return np.zeros(0)
    onsets = np.array([note.onset for note in notes])
    offsets = np.array([note.offset for note in notes])
    pitches = np.array([note.pitch for note in notes])
    weights = 0.3 + np.clip((offsets - onsets) / value, 0.0, 2.0) * 0.6
    gaps = onsets[1:] - offsets[:-1] >= REST
    weights += 0.5 * np.concatenate([[True], gaps]) + 0.6 * np.concatenate([gaps, [True]])
    steps = np.sign(np.round(np.diff(pitches)))
    weights[1:-1] += 0.5 * (steps[:-1] * steps[1:] < 0)
    weights[1:] -= 0.2 * (steps == 0)
    if tempo is not None and tempo.confidence >= MIN_TEMPO_CONFIDENCE:
        weights += metrical_weights(onsets, tempo)
    return np.asarray(np.maximum(weights, 0.05))


def metrical_weights(onsets: NDArray[np.float64], tempo: Tempo) -> NDArray[np.float64]:
    """Compute metrical weights: 1 on the first beat of a bar, 0.7 on others, 0.35 halfway between beats, 0 elsewhere.

    Returns
    -------
    ndarray, shape (note,)
        Smaller with the distance from the position, in beats.
    """
    position = tempo.to_beats(onsets) - tempo.downbeat
    division = 3 if tempo.is_compound else 2
    nearest = np.round(position)
    on_beat = np.where(nearest % tempo.beats_per_bar == 0, 1.0, 0.7) * _close(position - nearest)
    between = 0.35 * _close(position - np.round(position * division) / division)
    return np.asarray(np.maximum(on_beat, between))


def _close(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fall from 1 at distance 0 to 0 at a quarter of a beat."""
    return np.asarray(np.clip(1.0 - (np.abs(distance) / 0.25) ** 2, 0.0, 1.0))


def _largest_weights(
    notes: Sequence[Note], weights: NDArray[np.float64], apart: float, marked: NDArray[np.bool_]
) -> list[int]:
    """Choose the marked notes, and of others at least ``apart`` seconds from all those with the largest weights."""
    onsets = np.array([note.onset for note in notes])
    near = np.abs(onsets[:, None] - onsets[marked]).min(axis=1, initial=np.inf) < apart - 1e-9
    free = np.flatnonzero(~near)
    sums, previous = np.zeros(len(free) + 1), np.zeros(len(free), dtype=np.int64)
    for i, index in enumerate(free):
        previous[i] = min(i, int(np.searchsorted(onsets[free], onsets[index] - apart + 1e-9, side="right")))
        sums[i + 1] = max(sums[i], sums[previous[i]] + weights[index])
    chosen, i = np.flatnonzero(marked).tolist(), len(free)
    while i > 0:
        if sums[i] > sums[i - 1]:
            chosen.append(int(free[i - 1]))
            i = int(previous[i - 1])
        else:
            i -= 1
    return sorted(chosen)


def _extended(notes: Sequence[Note], kept: Sequence[int]) -> list[Note]:
    """Extend each kept note over the notes removed after it, but not through a rest."""
    line = []
    for index, following in pairwise([*kept, len(notes)]):
        offset = notes[index].offset
        for removed in notes[index + 1 : following]:
            if removed.onset - offset >= REST:
                break
            offset = max(offset, removed.offset)
        if following < len(notes):
            offset = min(offset, notes[following].onset)
        line.append(replace(notes[index], offset=max(offset, notes[index].onset + 1e-3)))
    return line


# ------------------------------------------------------------------------------------------------- a beginner's hand
def one_hand(
    notes: Sequence[Note], weights: NDArray[np.float64], marked: NDArray[np.bool_] | None = None
) -> list[Note]:
    """Move notes by octaves, or leave notes out, so that a hand over five white keys seldom has to move.

    Finds the path of lowest cost (Viterbi) over the position of the hand and the octave of the melody.

    Parameters
    ----------
    notes : sequence of Note
    weights : ndarray, shape (note,)
        Importance of each note.
    marked : ndarray of bool, shape (note,), optional
        Notes that stay where they are.

    Returns
    -------
    list of Note
    """
    if not notes:
        return []
    keys = np.floor(np.array([note.pitch for note in notes]) + 0.5)
    places = np.arange(keys.min() - HAND, keys.max() + 1)
    place, shift = (grid.ravel() for grid in np.meshgrid(places, (0.0, -12.0, 12.0), indexing="ij"))
    reach = keys[:, None] + shift - place  # (note, state)
    low, high = keys[:, None] + shift >= 0, keys[:, None] + shift <= 127
    playable = (reach >= 0) & (reach <= HAND) & low & high
    leave_out = LEAVE_OUT * weights / float(weights.mean())
    missed = np.where(playable, 0.0, leave_out[:, None])
    if marked is not None:
        missed[marked] = np.where(playable[marked] & (shift == 0), 0.0, KEPT)
    fold = FOLD * (shift[:, None] != shift)
    distance = np.abs(place[:, None] - place)
    in_phrase = fold + np.where(distance > 0, MOVE + FARTHER * distance, 0.0)
    in_rest = fold + np.where(distance > 0, MOVE_IN_REST + FARTHER * distance, 0.0)
    costs = missed.copy()
    costs[0] += 0.1 * (shift != 0)
    rests = (after.onset - before.offset >= REST for before, after in pairwise(notes))
    path = best_path(-costs, (-(in_rest if is_rest else in_phrase) for is_rest in rests))
    pitches = np.clip([note.pitch + shift[state] for note, state in zip(notes, path, strict=True)], 0.0, 127.0)
    moved = [replace(note, pitch=float(pitch)) for note, pitch in zip(notes, pitches, strict=True)]
    return _extended(moved, [i for i, state in enumerate(path) if playable[i, state]])


def hand_moves(notes: Sequence[Note]) -> int:
    """Count how often a hand over five white keys must move at least to play the notes unchanged."""
    moves, low, high = 0, np.inf, -np.inf
    for note in notes:
        key = np.floor(note.pitch + 0.5)
        low, high = min(low, key), max(high, key)
        if high - low > HAND:
            moves, low, high = moves + 1, key, key
    return moves
