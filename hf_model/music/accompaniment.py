"""A simple left hand: bass and chords in turn on the beats, softly below the melody, with smooth voice leading."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

LOWEST_BASS, LOWEST_VOICE, HIGHEST_VOICE = 24, 43, 64
"""MIDI numbers: the lowest bass, and the range of the chord; lower, close chords are muddy."""

CENTRE = 54.0
"""MIDI number around which the chord lies, if the melody is high enough."""

BASS_SHARE, VOICE_SHARE = 0.72, 0.58
"""Velocities relative to the melody's median."""

HELD = 0.92
"""Share of a beat for which a chord is held."""

EARLY = 0.3
"""Beats by which the last note may begin before its beat and still get a chord there."""

MIN_DURATION = 0.06
"""Seconds; shorter notes are left out."""


def accompany(melody: Sequence[Note], chords: Sequence[Chord], tempo: Tempo) -> list[Note]:
    """Add chords below a melody.

    The bass is on the first beat of the bar, on the third of four and where the chord changes; the chord on the other
    beats. The last beat is held until the melody ends.

    Parameters
    ----------
    melody : sequence of Note
        Piano keys, sorted by onset.
    chords : sequence of Chord
        From :func:`hf_model.music.chords.estimate_chords`.
    tempo : Tempo
        The beats.

    Returns
    -------
    list of Note
        Sorted by onset; all below the melody notes at the same time, none after its end.
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
        if offset - start < MIN_DURATION:
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
    """List the beats to play: start, end, chord, and whether it has the bass; none begins long after the last note."""
    numbers = np.arange(int(np.floor(tempo.to_beats(first) + 0.1)), int(np.ceil(tempo.to_beats(last))) + 2)
    found = []
    previous: Chord | None = None
    for number, (start, stop) in zip(numbers, pairwise(tempo.to_seconds(numbers)), strict=False):
        if start < 0 or start > min(last + EARLY * (stop - start), end - MIN_DURATION):
            continue
        middle = (start + min(stop, end)) / 2
        chord = next((chord for chord in chords if chord.onset <= middle < chord.offset), chords[-1])
        place = (number - tempo.downbeat) % tempo.beats_per_bar
        is_bass = bool(place == 0 or (tempo.beats_per_bar == 4 and place == 2) or chord != previous)
        previous = chord
        found.append((float(start), float(stop), chord, is_bass))
    if found:
        start, _, chord, is_bass = found[-1]
        found[-1] = (start, end, chord, is_bass)
    return found


def bass_key(chord: Chord, ceiling: float) -> int:
    """Choose the root between C2 and B2, or an octave lower if the melody is close."""
    key = 36 + chord.root
    return key - 12 if key >= ceiling - 3 and key - 12 >= LOWEST_BASS else key


def voicing(chord: Chord, ceiling: float, previous: Sequence[int]) -> tuple[int, ...]:
    """Choose three keys in close position that move least from the previous ones.

    Returns
    -------
    tuple of int
        Rising, below the melody; fewer if the melody is too low for three.
    """
    top = min(HIGHEST_VOICE, int(np.ceil(ceiling)) - 1)
    places = [[key for key in range(LOWEST_VOICE, top + 1) if key % 12 == pitch] for pitch in chord.pitch_classes]
    candidates = [tuple(sorted(keys)) for keys in product(*places) if max(keys) - min(keys) < 12]
    if not candidates:
        return tuple(sorted(options[-1] for options in places if options))
    return min(candidates, key=lambda keys: (_movement(keys, previous), abs(float(np.mean(keys)) - CENTRE)))


def _movement(keys: Sequence[int], previous: Sequence[int]) -> float:
    """Sum the movement of the voices in semitones, and a penalty for the distance from ``CENTRE``."""
    drift = 0.3 * abs(float(np.mean(keys)) - CENTRE)
    if len(previous) != len(keys):
        return drift
    return drift + sum(abs(a - b) for a, b in zip(keys, previous, strict=True))
