"""Drums of a band: a pattern for each metre, whose bass drum follows the bass, with fills at the ends of phrases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_model.music.accompaniment import Beat
from hf_model.music.ensemble.bars import Song
from hf_model.notes.note import Note

KICK, STICK, SNARE, TOM, HAT, OPEN_HAT, CRASH = 36, 37, 38, 45, 42, 46, 49
"""Keys of General MIDI."""

LENGTH = 0.2
"""Beats for which a stroke is written; drums end by themselves."""

BARS_A_PHRASE = 8
"""The last of so many bars has a fill, the first of the next a cymbal."""

SLOW = 80.0
"""Beats per minute below which the stick on the rim is played instead of the snare."""

NEAR = 0.04
"""Seconds within which two notes begin together."""

Stroke = tuple[float, int, float]
"""Place in the beat, key, and velocity relative to the melody."""


def play_drums(song: Song, bass: Sequence[Note]) -> list[Note]:
    """Write the drums.

    Parameters
    ----------
    song : Song
    bass : sequence of Note
        The bass drum plays with its notes on the beat.

    Returns
    -------
    list of Note
        Sorted by onset.
    """
    notes = []
    first = song.beats[0].bar
    for number, beat in enumerate(song.beats):
        if number == len(song.beats) - 1:
            strokes = [(0.0, CRASH, 0.6), (0.0, KICK, 0.75)]
        else:
            has_bass = any(abs(note.onset - beat.start) < NEAR for note in bass)
            strokes = list(_strokes(song, beat, beat.bar - first, has_bass))
        for share, key, velocity in strokes:
            note = song.note(beat, share, LENGTH, key, velocity)
            notes += [note] if note else []
    return sorted(notes)


def _strokes(song: Song, beat: Beat, bar: int, has_bass: bool) -> Iterator[Stroke]:
    """Give the strokes of a beat in a bar, counted from the first."""
    n_beats, place = song.tempo.beats_per_bar, beat.place
    phrase_begins = bar % BARS_A_PHRASE == 0 and place == 0
    has_fill = bar % BARS_A_PHRASE == BARS_A_PHRASE - 1 and place == n_beats - 1
    parts = 3 if song.tempo.is_compound else 2
    if phrase_begins:
        yield 0.0, CRASH, 0.5
    if place == 0 or (has_bass and not _is_backbeat(n_beats, place)):
        yield 0.0, KICK, 0.7
    if has_fill:
        yield from ((part / parts, key, 0.6) for part, key in enumerate((SNARE, TOM, TOM)[:parts]))
        return
    if _is_backbeat(n_beats, place):
        yield 0.0, STICK if song.tempo.bpm < SLOW else SNARE, 0.6
    for part in range(parts):
        if not (phrase_begins and part == 0):
            yield part / parts, HAT, 0.45 if part == 0 else 0.32


def _is_backbeat(n_beats: int, place: int) -> bool:
    """Whether the snare plays: the second and fourth beat, the second of two, the last of three."""
    return place == 2 if n_beats == 3 else place % 2 == 1
