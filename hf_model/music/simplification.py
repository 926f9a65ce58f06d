"""Simplification of a melody in levels, down to what a beginner can play with one hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

LEVELS = (0, 1, 2, 3)

ORNAMENT, GRACE = 0.14, 0.09
"""Seconds: longest ornament; longest ornament between two different pitches (a longer one is a passing note)."""

TWO_NOTES = 0.35
"""Seconds; if both notes around a mordent are as long, they are two notes."""

STABLE = 1.8
"""Ratio of durations from which a note can be an ornament of its neighbour."""

REST = 0.25
"""Seconds; a gap that divides phrases. Notes are not held through it."""

MIN_TEMPO_CONFIDENCE = 0.4
"""From this confidence on, the metre is part of the weights of notes."""

EIGHTHS = (0.2, 0.32)
"""Seconds; without a reliable tempo the median inter-onset interval, within these bounds, counts as an eighth."""

SLACK = 0.75
"""Minimum inter-onset interval as a share of the note value: singers are not exact."""

HAND = 7
"""Semitones that a hand spans: five white keys."""

MOVE, MOVE_IN_REST, FARTHER, FOLD, LEAVE_OUT = 1.0, 0.4, 0.05, 1.4, 0.8
"""Costs: moving the hand, moving it in a rest, each semitone of the move, a change of octave, leaving a note out."""


def simplify(notes: Sequence[Note], level: int, tempo: Tempo | None = None) -> list[Note]:
    """Reduce a melody to its most important notes.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset; float pitches or piano keys.
    level : int
        0: all notes. 1: without ornaments and fragments. 2: at most eighths. 3: at most quarters, for one hand that
        seldom leaves five neighbouring white keys.
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
    if level >= 2:
        eighth = _eighth(kept, tempo)
        kept = _most_important(kept, tempo, eighth)
        if level >= 3:
            kept = _most_important(kept, tempo, 2 * eighth)
            kept = one_hand(kept, _weights(kept, tempo, 2 * eighth))
    return kept


def remove_ornaments(notes: Sequence[Note]) -> list[Note]:
    """Merge grace notes, mordents, trills and fragments of split notes into the main notes.

    Short notes without a long neighbour stay: they are a fast melody.
    """
    kept = list(notes)
    for index in sorted(range(len(kept)), key=lambda i: notes[i].duration):
        short = notes[index]
        if short.duration >= ORNAMENT:
            break
        place = next((i for i, note in enumerate(kept) if note is short), None)
        if place is None:
            continue  # it was extended over a shorter note and is no ornament any more
        before = kept[place - 1] if place > 0 and short.onset - kept[place - 1].offset < REST / 4 else None
        after = kept[place + 1] if place + 1 < len(kept) and kept[place + 1].onset - short.offset < REST / 4 else None
        main_note = _main_note(short, before, after)
        if main_note is None:
            continue
        if before is not None and after is not None and _is_mordent(before, after):
            kept[place - 1 : place + 2] = [replace(before, offset=after.offset)]
        elif main_note is before:
            kept[place - 1 : place + 1] = [replace(main_note, offset=max(main_note.offset, short.offset))]
        else:
            kept[place : place + 2] = [replace(main_note, onset=short.onset)]
    return _join_fragments(kept)


def _main_note(short: Note, before: Note | None, after: Note | None) -> Note | None:
    """Choose the neighbour that a short note ornaments; None if it is no ornament."""
    stable = [note for note in (before, after) if note is not None and note.duration >= STABLE * short.duration]
    near = [note for note in stable if 0.5 <= abs(note.pitch - short.pitch) <= 2.5]
    if not near:
        return None
    if before is not None and after is not None and abs(before.pitch - after.pitch) < 0.5:
        return before if before in near else after
    if short.duration >= GRACE:
        return None
    return max(near, key=lambda note: note.duration)


def _is_mordent(before: Note, after: Note) -> bool:
    """Whether the notes around an ornament are one note: the same pitch, and one of them short."""
    return abs(before.pitch - after.pitch) < 0.5 and min(before.duration, after.duration) < TWO_NOTES


def _join_fragments(notes: Sequence[Note]) -> list[Note]:
    """Join neighbouring notes of one pitch without a gap if one is a fragment."""
    joined: list[Note] = []
    for note in notes:
        last = joined[-1] if joined else None
        is_split = last is not None and note.onset - last.offset < 0.03 and abs(note.pitch - last.pitch) < 0.5
        if last is not None and is_split and min(last.duration, note.duration) < ORNAMENT:
            longer = max(last, note, key=lambda part: part.duration)
            joined[-1] = replace(longer, onset=last.onset, offset=note.offset)
        else:
            joined.append(note)
    return joined


# ------------------------------------------------------------------------------------------------------ important notes
def _eighth(notes: Sequence[Note], tempo: Tempo | None) -> float:
    """Return the length of half a beat (a third in 6/8) in seconds."""
    if tempo is not None and tempo.confidence >= MIN_TEMPO_CONFIDENCE:
        return 60.0 / tempo.bpm / (3 if tempo.is_compound else 2)
    onsets = [note.onset for note in notes]
    return float(np.clip(np.median(np.diff(onsets)), *EIGHTHS)) if len(onsets) > 1 else EIGHTHS[1]


def _most_important(notes: Sequence[Note], tempo: Tempo | None, value: float) -> list[Note]:
    """Choose the notes with the largest weights, none closer to its neighbour than a note value in seconds."""
    kept = _largest_weights(notes, _weights(notes, tempo, value), SLACK * value)
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


def _largest_weights(notes: Sequence[Note], weights: NDArray[np.float64], apart: float) -> list[int]:
    """Choose notes at least ``apart`` seconds from each other with the largest sum of weights."""
    onsets = np.array([note.onset for note in notes])
    sums, previous = np.zeros(len(notes) + 1), np.zeros(len(notes), dtype=np.int64)
    for i in range(len(notes)):
        previous[i] = np.searchsorted(onsets, onsets[i] - apart + 1e-9, side="right")
        previous[i] = min(previous[i], i)
        sums[i + 1] = max(sums[i], sums[previous[i]] + weights[i])
    chosen, i = [], len(notes)
    while i > 0:
        if sums[i] > sums[i - 1]:
            chosen.append(i - 1)
            i = int(previous[i - 1])
        else:
            i -= 1
    return chosen[::-1]


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
def one_hand(notes: Sequence[Note], weights: NDArray[np.float64]) -> list[Note]:
    """Move notes by octaves, or leave notes out, so that a hand over five white keys seldom has to move.

    Finds the path of lowest cost (Viterbi) over the position of the hand and the octave of the melody.

    Parameters
    ----------
    notes : sequence of Note
    weights : ndarray, shape (note,)
        Importance of each note.

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
    fold = FOLD * (shift[:, None] != shift)
    distance = np.abs(place[:, None] - place)
    in_phrase = fold + np.where(distance > 0, MOVE + FARTHER * distance, 0.0)
    in_rest = fold + np.where(distance > 0, MOVE_IN_REST + FARTHER * distance, 0.0)
    costs = missed[0] + 0.1 * (shift != 0)
    came_from = np.zeros(reach.shape, dtype=np.int64)
    for i in range(1, len(notes)):
        step = in_rest if notes[i].onset - notes[i - 1].offset >= REST else in_phrase
        arriving = costs[:, None] + step
        came_from[i] = arriving.argmin(axis=0)
        costs = arriving.min(axis=0) + missed[i]
    path = [int(costs.argmin())]
    for i in range(len(notes) - 1, 0, -1):
        path.append(int(came_from[i, path[-1]]))
    path.reverse()
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
