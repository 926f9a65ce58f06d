"""A plain left hand: bass and chord in turn on the beats, below the melody, soft, with smooth voices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

LOWEST_BASS, LOWEST_VOICE, HIGHEST_VOICE = 24, 43, 64
"""Keys: the deepest bass, and between which the chord lies; deeper, close chords are muddy."""

CENTRE = 54.0
"""Key around which the chord lies, where the melody leaves room."""

BASS_SHARE, VOICE_SHARE = 0.72, 0.58
"""Velocities, as shares of the melody's."""

HELD = 0.92
"""Share of a beat that a chord is held."""

LATE = 0.3
"""Beats by which the last note may come before its beat, and still has a chord."""

SHORTEST = 0.06
"""Seconds; where a beat leaves less, nothing is played."""


def accompany(melody: Sequence[Note], chords: Sequence[Chord], tempo: Tempo) -> list[Note]:
    """Play chords under a melody.

    The bass on the first beat of the bar, on the third of four and where the chord changes; the chord on the beats
    between. The last beat is held until the tune ends.

    Parameters
    ----------
    melody : sequence of Note
        Keys of a piano, sorted by onset.
    chords : sequence of Chord
        From :func:`hf_model.music.chords.estimate_chords`.
    tempo : Tempo
        Where the beats are.

    Returns
    -------
    list of Note
        Sorted by onset; all below what the melody sings at the time, none after its end.
    """
    if not melody or not chords:
        return []
    loudness = float(np.median([note.velocity for note in melody]))
    end = melody[-1].offset
    voices: tuple[int, ...] = ()
    played: list[Note] = []
    for start, stop, chord, is_bass in _beats(chords, tempo, melody[0].onset, melody[-1].onset, end):
        ceiling = min((n.pitch for n in melody if n.onset < stop and n.offset > start), default=127.0)
        is_last = stop >= end
        offset = end if is_last else start + HELD * (stop - start)
        if offset - start < SHORTEST:
            continue
        keys = [bass_key(chord, ceiling)] if is_bass or is_last else []
        if not is_bass or is_last:
            voices = voicing(chord, ceiling, voices)
            keys += [key for key in voices if key not in keys]
        for key in sorted(key for key in keys if key < ceiling):
            share = BASS_SHARE if key == keys[0] and (is_bass or is_last) else VOICE_SHARE
            played.append(Note(start, offset, float(key), int(np.clip(round(share * loudness), 1, 127))))
    return played


def _beats(
    chords: Sequence[Chord], tempo: Tempo, first: float, last: float, end: float
) -> list[tuple[float, float, Chord, bool]]:
    """List the beats to play: start, end, chord, and whether the bass is due; the last one begins by the last note."""
    numbers = np.arange(int(np.floor(tempo.to_beats(first) + 0.1)), int(np.ceil(tempo.to_beats(last))) + 2)
    found = []
    before: Chord | None = None
    for number, (start, stop) in zip(numbers, pairwise(tempo.to_seconds(numbers)), strict=False):
        if start < 0 or start > min(last + LATE * (stop - start), end - SHORTEST):
            continue
        middle = (start + min(stop, end)) / 2
        chord = next((chord for chord in chords if chord.onset <= middle < chord.offset), chords[-1])
        place = (number - tempo.downbeat) % tempo.beats_per_bar
        is_bass = bool(place == 0 or (tempo.beats_per_bar == 4 and place == 2) or chord != before)
        before = chord
        found.append((float(start), float(stop), chord, is_bass))
    if found:
        start, _, chord, is_bass = found[-1]
        found[-1] = (start, end, chord, is_bass)
    return found


def bass_key(chord: Chord, ceiling: float) -> int:
    """Choose the root between C2 and B2, an octave deeper where the melody needs the room."""
    key = 36 + chord.root
    return key - 12 if key >= ceiling - 3 and key - 12 >= LOWEST_BASS else key


def voicing(chord: Chord, ceiling: float, before: Sequence[int]) -> tuple[int, ...]:
    """Choose three keys in close position that move least from those before.

    Returns
    -------
    tuple of int
        Rising, under the melody; fewer where the melody is so low that there is no room for three.
    """
    top = min(HIGHEST_VOICE, int(np.ceil(ceiling)) - 1)
    places = [[key for key in range(LOWEST_VOICE, top + 1) if key % 12 == pitch] for pitch in chord.pitch_classes]
    candidates = [tuple(sorted(keys)) for keys in product(*places) if max(keys) - min(keys) < 12]
    if not candidates:
        return tuple(sorted(options[-1] for options in places if options))
    return min(candidates, key=lambda keys: (_movement(keys, before), abs(float(np.mean(keys)) - CENTRE)))


def _movement(keys: Sequence[int], before: Sequence[int]) -> float:
    """Sum the semitones that the voices move, and how far they lie from the middle."""
    drift = 0.3 * abs(float(np.mean(keys)) - CENTRE)
    if len(before) != len(keys):
        return drift
    return drift + sum(abs(a - b) for a, b in zip(keys, before, strict=True))
