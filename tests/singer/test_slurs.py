"""Slurred singing."""

from __future__ import annotations

import numpy as np

from hf_model.notes.note import Note
from hf_model.singer.slurs import TRILL_NOTE, add_trills, slur
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.singer.voice import draw_voice

SCORE = [Note(0.5 * i, 0.5 * i + 0.5, 60.0 + step) for i, step in enumerate((0, 2, 4, 5, 7, 5))]


def test_slurred_songs_have_no_gaps_and_others_stay() -> None:
    sung = sing(SCORE, 3, SingerConfig(speech=0.0))
    assert np.array_equal(sung.audio, sing(SCORE, 3, SingerConfig(speech=0.0, slurred=0.0)).audio)
    bound = 0
    for seed in range(6):
        song = sing(SCORE, seed, SingerConfig(speech=0.0, slurred=1.0))
        first, last = (round(100 * time) for time in (song.notes[0].onset + 0.1, song.notes[-1].offset - 0.1))
        bound += bool(np.all(song.f0[first:last] > 0))
    assert bound >= 3  # some begin every note with an h


def test_trills_alternate_and_keep_the_duration() -> None:
    found = 0
    for seed in range(30):
        notes = add_trills([Note(0.0, 0.4, 60.0), Note(0.4, 1.6, 64.0)], np.random.default_rng(seed))
        assert (notes[0].offset, notes[-1].offset) == (0.4, 1.6)
        trill = [note for note in notes if note.onset >= 0.4]
        if len(trill) > 1:
            found += 1
            assert {note.pitch for note in trill[::2]} == {64.0}
            assert {note.pitch for note in trill[1::2]} in ({65.0}, {66.0})
            assert all(0.9 * TRILL_NOTE[0] < note.duration < 1.1 * TRILL_NOTE[1] for note in trill)
    assert 1 <= found < 12


def test_slurring_binds_all_notes() -> None:
    voices = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        voices.append(slur(draw_voice(rng, np.array([60.0])), rng))
    assert {voice.legato for voice in voices} == {1.0}
    assert all(0.04 <= voice.glide <= 0.3 for voice in voices)
    assert 0 < sum(voice.vibrato_cents > 120.0 for voice in voices) < 20
