"""Tables of rhythms, counted in the piano accompaniments of songs: what a bar's bass and chords are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.pop909_songs import Song
from hf_model.music.ensemble.rhythms import N_CONTEXTS, STEPS, VOICES, RhythmModel, RhythmTable, context

HIGHEST_BASS = 52
"""MIDI number from which a note belongs to the chords."""

N_RHYTHMS = {"bass": 32, "chords": 48}
MIN_SONGS = 3
"""Songs in which a rhythm must occur."""

PRIOR = 20.0
"""Bars with the mean frequencies, added to each context and to each previous rhythm."""

CONTEXT_WEIGHT = 2.0
"""Weight of the context, set by hand: with 1 the most common rhythm is nearly always played, with 4 rare ones are."""

BEATS = 4


@dataclass(frozen=True, eq=False)
class BarRhythm:
    """A bar of four beats of a song.

    Attributes
    ----------
    song : str
    number : int
        Of its first beat in the song: bars that follow each other are four apart.
    context : int
        :func:`hf_model.music.ensemble.rhythms.context`.
    onsets : dict of voice to ndarray of bool, shape (STEPS,)
    fifths : list of (int, bool)
        Steps of the bass where the chord is not new, and whether it plays the fifth there.
    """

    song: str
    number: int
    context: int
    onsets: dict[str, NDArray[np.bool_]]
    fifths: list[tuple[int, bool]]


def read_bars(song: Song) -> Iterator[BarRhythm]:
    """Yield the bars of four beats of a song in which the piano plays."""
    downbeats = np.flatnonzero(song.downbeats)
    places = np.interp([note.onset for note in song.piano], song.beats, np.arange(len(song.beats)))
    sung = np.interp([note.onset for note in song.melody], song.beats, np.arange(len(song.beats)))
    for first, following in pairwise(downbeats.tolist()):
        if following - first != BEATS:
            continue
        inside = np.flatnonzero((places >= first - 1 / 8) & (places < following - 1 / 8))
        steps = np.clip(np.rint((places[inside] - first) * STEPS / BEATS), 0, STEPS - 1).astype(int)
        keys = np.array([song.piano[number].pitch for number in inside])
        onsets = {voice: np.zeros(STEPS, dtype=bool) for voice in VOICES}
        onsets["bass"][steps[keys < HIGHEST_BASS]] = True
        onsets["chords"][steps[keys >= HIGHEST_BASS]] = True
        chords = [song.chord_at(float(time) + 0.05) for time in song.beats[first:following]]
        fifths = []
        for step in np.flatnonzero(onsets["bass"]).tolist():
            chord, lowest = chords[step * BEATS // STEPS], int(keys[steps == step].min())
            if chord and step and chord == chords[(step - 1) * BEATS // STEPS]:
                fifths.append((step, lowest % 12 == chord[2]))
        if len(inside):
            n_sung = int(np.sum((sung >= first - 1 / 8) & (sung < following - 1 / 8)))
            yield BarRhythm(song.name, first, context(n_sung, len(set(chords)) > 1), onsets, fifths)


def fit_rhythms(bars: Sequence[BarRhythm]) -> RhythmModel:
    """Count the rhythms of all bars, which are sorted by song and number."""
    fifths, hits = np.full(STEPS, 1.0), np.full(STEPS, 4.0)
    for bar in bars:
        for step, is_fifth in bar.fifths:
            hits[step] += 1
            fifths[step] += is_fifth
    return RhythmModel({voice: _fit_table(bars, voice) for voice in VOICES}, fifths / hits)


def _fit_table(bars: Sequence[BarRhythm], voice: str) -> RhythmTable:
    """Count one voice: rhythms of the bass begin with the bar."""
    codes = [bar.onsets[voice].tobytes() for bar in bars]
    counts = Counter(codes)
    songs: dict[bytes, set[str]] = {}
    for bar, code in zip(bars, codes, strict=True):
        songs.setdefault(code, set()).add(bar.song)
    empty = bytes(STEPS)
    usable = [
        code
        for code, _ in counts.most_common()
        if len(songs[code]) >= MIN_SONGS and code != empty and (voice == "chords" or code[0])
    ][: N_RHYTHMS[voice]]
    index = {code: number for number, code in enumerate(usable)}
    given, pairs = np.zeros((N_CONTEXTS, len(usable))), np.zeros((len(usable), len(usable)))
    for bar, code in zip(bars, codes, strict=True):
        if code in index:
            given[bar.context, index[code]] += 1
    for (one, code), (other, after) in pairwise(zip(bars, codes, strict=True)):
        if one.song == other.song and other.number - one.number == BEATS and {code, after} <= set(index):
            pairs[index[code], index[after]] += 1
    mean = given.sum(axis=0) / given.sum()
    following = (pairs + PRIOR * mean) / (pairs.sum(axis=1, keepdims=True) + PRIOR)
    given = (given + PRIOR * mean) / (given.sum(axis=1, keepdims=True) + PRIOR)
    given = CONTEXT_WEIGHT * np.log(given / mean) + np.log(mean)
    onsets = np.array([np.frombuffer(code, dtype=bool) for code in usable])
    return RhythmTable(onsets, given, np.log(following))
