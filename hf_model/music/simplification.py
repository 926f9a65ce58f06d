"""Compactualize: the same tune with fewer notes, in levels, down to what a beginner's hand can play."""

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
"""Seconds: a longer note is no ornament; a longer note between two pitches is a passing note."""

TWO_NOTES = 0.35
"""Seconds: from so long on, what is on either side of a mordent are two notes."""

STABLE = 1.8
"""A note is an ornament beside one that is so many times as long."""

REST = 0.25
"""Seconds of silence that divide phrases; a note does not sound on through it."""

SURE = 0.4
"""Confidence of the tempo from which its beats weigh the notes."""

EIGHTHS = (0.2, 0.32)
"""Seconds: where the tempo is not sure, the median note between these bounds is taken for an eighth."""

SLACK = 0.75
"""A note may follow its neighbour after so much of the note value: singers are not exact."""

HAND = 7
"""Semitones from the thumb to the little finger: five white keys."""

MOVE, MOVE_IN_REST, FARTHER, FOLD, LEAVE_OUT = 1.0, 0.4, 0.05, 1.4, 0.8
"""Costs in the hand's path: to move, to do so in a rest, each semitone of the way, another octave, a note left out."""


def simplify(notes: Sequence[Note], level: int, tempo: Tempo | None = None) -> list[Note]:
    """Keep what carries a melody.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset; as sung or keys.
    level : int
        0: every note. 1: without ornaments and fragments. 2: what carries the melody at the level of eighths. 3: the
        skeleton at the level of quarters, for one hand that seldom leaves five neighbouring white keys.
    tempo : Tempo, optional
        Where the beats are, if that is known; from a confidence of ``SURE`` on they say which notes are heavy and how
        long an eighth is.

    Returns
    -------
    list of Note
        Never more than before, in order. A kept note takes over the time of those removed after it; only level 3
        changes pitches, and only by octaves.

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
        kept = _carrying(kept, tempo, eighth)
        if level >= 3:
            kept = _carrying(kept, tempo, 2 * eighth)
            kept = one_hand(kept, _weights(kept, tempo, 2 * eighth))
    return kept


def remove_ornaments(notes: Sequence[Note]) -> list[Note]:
    """Fold grace notes, mordents, trills, and fragments of split notes into the notes that they adorn.

    Short notes that neighbour no long one stay: they are a fast melody.
    """
    kept = list(notes)
    for index in sorted(range(len(kept)), key=lambda i: notes[i].duration):
        short = notes[index]
        if short.duration >= ORNAMENT:
            break
        place = next((i for i, note in enumerate(kept) if note is short), None)
        if place is None:
            continue  # has taken over a shorter one, and is a note of its own by now
        before = kept[place - 1] if place > 0 and short.onset - kept[place - 1].offset < REST / 4 else None
        after = kept[place + 1] if place + 1 < len(kept) and kept[place + 1].onset - short.offset < REST / 4 else None
        home = _adorned(short, before, after)
        if home is None:
            continue
        if before is not None and after is not None and _is_mordent(before, after):
            kept[place - 1 : place + 2] = [replace(before, offset=after.offset)]
        elif home is before:
            kept[place - 1 : place + 1] = [replace(home, offset=max(home.offset, short.offset))]
        else:
            kept[place : place + 2] = [replace(home, onset=short.onset)]
    return _rejoined(kept)


def _adorned(short: Note, before: Note | None, after: Note | None) -> Note | None:
    """Choose the neighbour that a short note belongs to; none if it is a note in its own right."""
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
    """Whether what is on either side of an ornament is one note, back where it came from."""
    return abs(before.pitch - after.pitch) < 0.5 and min(before.duration, after.duration) < TWO_NOTES


def _rejoined(notes: Sequence[Note]) -> list[Note]:
    """Join what is left and right of a removed ornament, and fragments, where the pitch is the same."""
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


# ------------------------------------------------------------------------------------------- notes that carry the tune
def _eighth(notes: Sequence[Note], tempo: Tempo | None) -> float:
    """Give the length of half a beat (a third in 6/8) in seconds."""
    if tempo is not None and tempo.confidence >= SURE:
        return 60.0 / tempo.bpm / (3 if tempo.is_compound else 2)
    onsets = [note.onset for note in notes]
    return float(np.clip(np.median(np.diff(onsets)), *EIGHTHS)) if len(onsets) > 1 else EIGHTHS[1]


def _carrying(notes: Sequence[Note], tempo: Tempo | None, value: float) -> list[Note]:
    """Choose the heaviest notes of which none follows its neighbour faster than a note value in seconds."""
    kept = _heaviest(notes, _weights(notes, tempo, value), SLACK * value)
    return _absorbed(notes, kept)


def _weights(notes: Sequence[Note], tempo: Tempo | None, value: float) -> NDArray[np.float64]:
    """Weigh notes: place in the bar, length, turning points of the contour, ends of phrases.

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
    if tempo is not None and tempo.confidence >= SURE:
        weights += metrical_weights(onsets, tempo)
    return np.asarray(np.maximum(weights, 0.05))


def metrical_weights(onsets: NDArray[np.float64], tempo: Tempo) -> NDArray[np.float64]:
    """Weigh places in the bar: 1 on its first beat, 0.7 on others, 0.35 halfway between beats, 0 elsewhere.

    Returns
    -------
    ndarray, shape (note,)
        Softened by how far a note is from its place, in beats.
    """
    position = tempo.to_beats(onsets) - tempo.downbeat
    division = 3 if tempo.is_compound else 2
    nearest = np.round(position)
    on_beat = np.where(nearest % tempo.beats_per_bar == 0, 1.0, 0.7) * _close(position - nearest)
    between = 0.35 * _close(position - np.round(position * division) / division)
    return np.asarray(np.maximum(on_beat, between))


def _close(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fade from 1 on the spot to nothing a quarter of a beat away."""
    return np.asarray(np.clip(1.0 - (np.abs(distance) / 0.25) ** 2, 0.0, 1.0))


def _heaviest(notes: Sequence[Note], weights: NDArray[np.float64], apart: float) -> list[int]:
    """Choose notes at least ``apart`` seconds from each other, so that their weights sum to the most."""
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


def _absorbed(notes: Sequence[Note], kept: Sequence[int]) -> list[Note]:
    """Let each kept note sound through the notes that were removed behind it, but not through a rest."""
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
    """Move notes by octaves, or leave light ones out, so that a hand over five white keys seldom has to move.

    The cheapest path (Viterbi) over the hand's place and the octave in which the tune is played.

    Parameters
    ----------
    notes : sequence of Note
    weights : ndarray, shape (note,)
        What each note is worth.

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
    return _absorbed(moved, [i for i, state in enumerate(path) if playable[i, state]])


def hand_moves(notes: Sequence[Note]) -> int:
    """Count how often a hand over five white keys must move at least to play notes as they are."""
    moves, low, high = 0, np.inf, -np.inf
    for note in notes:
        key = np.floor(note.pitch + 0.5)
        low, high = min(low, key), max(high, key)
        if high - low > HAND:
            moves, low, high = moves + 1, key, key
    return moves
