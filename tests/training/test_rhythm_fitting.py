"""Rhythms counted in songs whose bars are known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.corpora.pop909_songs import Song
from hf_model.corpora.records import Span
from hf_model.music.ensemble.rhythms import context
from hf_model.notes.note import Note
from hf_model.training.accompaniment.rhythm_fitting import fit_rhythms, read_bars


def song(name: str, bass: tuple[int, ...], fifth_from: int = 99) -> Song:
    """Eight bars at a beat a second; the bass on some sixteenths, a chord on each beat, two notes a bar sung."""
    piano, melody = [], []
    for bar in range(8):
        start = 4.0 * bar
        for step in bass:
            key = 43.0 if step >= fifth_from else 36.0
            piano.append(Note(start + step / 4, start + step / 4 + 0.2, key))
        piano += [Note(start + beat, start + beat + 0.5, 64.0) for beat in range(4)]
        melody += [Note(start, start + 1, 72.0), Note(start + 2, start + 3, 72.0)]
    beats = np.arange(33.0)
    return Song(name, melody, [], sorted(piano), beats, beats % 4 == 0, [Span(0.0, 33.0, "C:maj")])


def test_bars_of_a_song():
    bars = list(read_bars(song("001", (0, 6, 8), fifth_from=8)))
    assert [bar.number for bar in bars] == list(range(0, 32, 4))
    assert np.flatnonzero(bars[1].onsets["bass"]).tolist() == [0, 6, 8]
    assert np.flatnonzero(bars[1].onsets["chords"]).tolist() == [0, 4, 8, 12]
    assert bars[1].context == context(2, False)
    assert bars[1].fifths == [(6, False), (8, True)]


def test_counts_of_rhythms():
    songs = [song(f"{k:03d}", (0, 8) if k < 6 else (0, 4), fifth_from=8) for k in range(9)]
    model = fit_rhythms([bar for one in songs for bar in read_bars(one)])
    bass = model.tables["bass"]
    rhythms = [np.flatnonzero(onsets).tolist() for onsets in bass.onsets]
    assert rhythms == [[0, 8], [0, 4]], "the more common one first"
    assert np.exp(bass.following).sum(axis=1) == pytest.approx([1, 1])
    assert np.exp(bass.following[0, 0]) > 0.8, "a song keeps its rhythm"
    assert bass.choose([context(2, False)] * 4).tolist() == [0] * 4
    assert model.fifths[8] > 0.8 > 0.2 > model.fifths[4]
