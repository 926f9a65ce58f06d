"""Transcribed notes to piano notes."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.export.midi_score import write_score
from hf_model.music import arrangement as arrangement_module
from hf_model.music.arrangement import QUANTIZE, Arrangement, arrange
from hf_model.music.chords import Chord
from hf_model.music.key import Key
from hf_model.music.meter import METERS
from hf_model.music.quantization import SWINGS
from hf_model.music.tempo import Tempo
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note, to_keys
from hf_model.singer.composition import twinkle

SUNG = [Note(0.5, 0.98, 60.2, 70), Note(1.0, 1.48, 62.3, 80), Note(1.5, 1.98, 64.1, 90, 0.4), Note(2.0, 2.03, 65.2, 60)]


def test_by_default_timing_is_not_changed():
    arranged = arrange(SUNG, 3.0)
    assert arranged.notes == SUNG[:3], "0.03 s is too short for a note"
    assert arranged.piano_notes == to_keys(SUNG[:3], arranged.tuning)
    assert arranged.accompaniment == []


def test_notes_are_left_out_by_confidence_and_transposed():
    arranged = arrange(SUNG, 3.0, Arrangement(min_confidence=0.5, transpose=-12), tuning=0.2)
    assert [note.pitch for note in arranged.piano_notes] == [48, 50]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"simplify": 4}, "simplify is 4, allowed is 0 to 3"),
        ({"quantize": "1/7"}, "quantize is '1/7'"),
        ({"strength": 1.5}, "strength is 1.5"),
        ({"swing": "maybe"}, "swing is 'maybe'"),
        ({"key": "H minor"}, "key is 'H minor'"),
        ({"tempo": 5.0}, "tempo is 5.0, allowed is 30.0 to 300.0"),
        ({"meter": "7/8"}, "meter is '7/8'"),
    ],
)
def test_values_outside_their_range_are_refused(setting, words):
    with pytest.raises(ConfigError, match=words):
        Arrangement(**setting)


def test_known_keys_stay_and_the_sung_pitch_too():
    known = {0.5: 48, 1.5: 70}
    for keys in ("meant", "sung"):
        arranged = arrange(SUNG, 3.0, Arrangement(keys=keys, transpose=12), tuning=0.2, known_keys=known)
        assert [note.pitch for note in arranged.piano_notes] == [60, 74, 82]
        assert [note.pitch for note in arranged.notes] == [60.2, 62.3, 64.1]


def test_notes_end_with_the_recording():
    arranged = arrange([Note(0.5, 1.0, 60), Note(1.2, 9.0, 62), Note(5.0, 6.0, 64)], 2.0)
    assert [(note.onset, note.offset) for note in arranged.piano_notes] == [(0.5, 1.0), (1.2, 2.0)]


def test_legato_holds_over_short_gaps_only():
    arranged = arrange([Note(0, 0.4, 60), Note(0.5, 0.9, 62), Note(2, 2.4, 64)], 3.0, Arrangement(legato=True))
    assert [note.offset for note in arranged.piano_notes] == [0.5, 0.9, 2.4]


def test_remarks_name_tempo_and_key():
    remarks = arrange(twinkle(), 9.0, Arrangement(key="D major", tempo=109.0)).remarks
    assert remarks[0].startswith("109 bpm (given), 4/4")
    assert remarks[1] == "key: D major (given)"
    assert arrange([], 1.0).remarks == ()


@pytest.mark.parametrize(("confidence", "words"), [(0.95, ""), (0.8, " (likely)"), (0.3, " (a guess)")])
def test_remarks_grade_the_confidence(monkeypatch, confidence, words):
    tempo = Tempo(96.0, confidence, (0.0, 0.625), meter_confidence=0.2)
    monkeypatch.setattr(arrangement_module, "_find_tempo", lambda *_: tempo)
    monkeypatch.setattr(arrangement_module, "estimate_key", lambda *_: Key(5, "major", confidence))
    assert arrange(SUNG, 3.0).remarks[:2] == (f"96 bpm{words}, 4/4 (a guess)", f"key: F major{words}")


def test_other_metres_are_named_unless_it_is_sure(monkeypatch):
    for confidence, words in ((0.7, "4/4 (or 2/4, 3/4) (likely)"), (0.95, "4/4")):
        tempo = Tempo(96.0, 0.95, (0.0, 0.625), 0, (4, 4), confidence, ("2/4", "3/4"))
        monkeypatch.setattr(arrangement_module, "_find_tempo", lambda *_, t=tempo: t)
        assert arrange(SUNG, 3.0).remarks[0] == f"96 bpm, {words}"


def test_free_rhythm_is_said_and_not_quantised():
    onsets = np.sort(np.random.default_rng(4).uniform(0.5, 20.5, 50))
    notes = [Note(float(t), float(t) + 0.05, 60.0) for t in onsets]
    found = arrange(notes, 21.0, Arrangement(quantize="1/8", min_note=0.0))
    assert found.tempo.is_free
    assert found.remarks[0].startswith("free rhythm: no steady beat")
    assert "without a steady beat, notes are not quantised" in found.remarks
    assert [note.onset for note in found.piano_notes] == [note.onset for note in found.notes]


def test_the_remark_on_a_slow_tempo_names_twice_the_tempo():
    tune = [Note(1.2 * k, 1.2 * k + 1.0, 60 + k % 3) for k in range(12)]
    found = arrange(tune, 15.0)
    remark = found.remarks[0]
    assert (f"bpm (or {2 * found.tempo.bpm:.0f})" in remark) == (found.tempo.bpm < 70)
    assert (f"bpm (or {found.tempo.bpm / 2:.0f})" in remark) == (found.tempo.bpm > 140)
    given = arrange(tune, 15.0, Arrangement(tempo=50.0))
    assert given.remarks[0].startswith("50 bpm (given), ")


def test_note_pairs_have_every_played_note_once():
    arranged = arrange(twinkle(), 9.0, Arrangement(accompany=True, tempo=109.0))
    sung, played = arranged.note_pairs
    assert sorted(played) == arranged.both_hands
    assert [note.onset for note in played] == sorted(note.onset for note in played)
    assert [note for note in sung if note in arranged.notes] == arranged.notes
    assert arranged.accompaniment


def test_the_key_moves_with_the_notes():
    arranged = arrange(twinkle(), 9.0, Arrangement(transpose=3))
    assert arranged.key.name == "F major"
    remark = arranged.remarks[1]
    assert remark.startswith("key: D major")
    assert remark.endswith("played in F major")


def test_twinkle_on_the_beat():
    arranged = arrange(twinkle(beat=0.6), 9.5, Arrangement(quantize="1/8"))
    assert arranged.tempo.bpm == pytest.approx(100, rel=0.01)
    beats = arranged.tempo.to_beats([note.onset for note in arranged.piano_notes])
    np.testing.assert_allclose(beats - beats[0], [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14], atol=0.02)


options = st.builds(
    Arrangement,
    simplify=st.integers(0, 3),
    quantize=st.sampled_from(QUANTIZE),
    strength=st.floats(0, 1),
    swing=st.sampled_from(SWINGS),
    snap_key=st.booleans(),
    key=st.none() | st.sampled_from(["C", "F# minor", "Bb"]),
    tempo=st.none() | st.floats(30, 300),
    meter=st.none() | st.sampled_from(list(METERS)),
    transpose=st.integers(-48, 48),
    legato=st.booleans(),
    min_note=st.floats(0, 0.3),
    min_confidence=st.floats(0, 1),
    agree_repeats=st.booleans(),
    accompany=st.booleans(),
)
sung_notes = st.lists(st.tuples(st.floats(0, 1), st.floats(0.02, 1), st.floats(20, 110), st.floats(0, 1)), max_size=40)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sung_notes, options, st.floats(-0.5, 0.5))
def test_any_options_give_notes_within_the_recording(tmp_path, steps, arrangement, tuning):
    now, notes = 0.0, []
    for gap, length, pitch, confidence in steps:
        notes.append(Note(now + gap, now + gap + length, pitch, 80, confidence))
        now = notes[-1].offset
    duration = max(0.8 * now, 0.1)
    arranged = arrange(notes, duration, arrangement, tuning=tuning)
    assert len(arranged.notes) == len(arranged.piano_notes)
    for note in (*arranged.piano_notes, *arranged.accompaniment):
        assert note.pitch == int(note.pitch)
        assert 21 <= note.pitch <= 108
        assert 0 <= note.onset < note.offset <= duration + 1e-9
    for before, after in pairwise(arranged.piano_notes):
        assert before.offset <= after.onset + 1e-6
    assert arrange(notes, duration, arrangement, tuning=tuning) == arranged
    write_score(tmp_path / "any.mid", arranged, round(44100 * duration))
    again = sorted(read_midi(tmp_path / "any.mid"))
    played = sorted((*arranged.piano_notes, *arranged.accompaniment))
    assert len(again) == len(played)
    for read, note in zip(again, played, strict=True):
        assert abs(read.onset - note.onset) < 1e-3


def test_half_a_minute_is_arranged_in_a_fifth_of_a_second():
    notes = [Note(0.3 * k, 0.3 * k + 0.25, 60.0 + (7 * k) % 12) for k in range(200)]
    arrange(notes, 60.0, Arrangement(quantize="1/16"))
    start = time.process_time()
    arrange(notes, 60.0, Arrangement(quantize="1/8", simplify=1, transpose=2))
    assert time.process_time() - start < 0.2, "beats and repetitions are cached; five times the usual time"


BAND = Tempo(100.0, 0.9, tuple(0.3 + 0.6 * k for k in range(20)), 1, (3, 4), 0.9)
BAND_CHORDS = (Chord(0.3, 3.0, 0, False), Chord(3.0, 12.0, 9, True))


def test_the_beats_and_chords_of_a_band_are_used():
    notes = [Note(0.93 + 0.6 * k, 1.4 + 0.6 * k, 60.0 + k) for k in range(8)]
    options = Arrangement(quantize="1/4", transpose=2, accompany=True)
    arranged = arrange(notes, 12.0, options, tuning=0.0, band_tempo=BAND, band_chords=BAND_CHORDS)
    assert arranged.tempo == BAND
    np.testing.assert_allclose([note.onset for note in arranged.piano_notes], BAND.beats[1:9])
    assert [(chord.root, chord.is_minor) for chord in arranged.chords] == [(2, False), (11, True)]
    assert {note.pitch % 12 for note in arranged.accompaniment if note.onset > 3.2} <= {11, 2, 6}


def test_a_tempo_that_is_set_wins_over_the_band():
    notes = [Note(0.9 + 0.8 * k, 1.6 + 0.8 * k, 60.0 + k % 3) for k in range(12)]
    arranged = arrange(notes, 12.0, Arrangement(tempo=75.0), band_tempo=BAND)
    assert arranged.tempo.bpm == 75.0
    assert arrange(notes, 12.0, Arrangement(tempo=50.0), band_tempo=BAND).tempo.bpm == 50.0


@pytest.mark.parametrize(("setting", "bar"), [({"downbeat": 2.1}, 2.1), ({"pickup": 1.0}, 1.5), ({"pickup": 0.0}, 0.9)])
def test_bar_lines_are_where_they_are_set(setting, bar):
    notes = [Note(0.9 + 0.6 * k, 1.4 + 0.6 * k, 60.0 + k) for k in range(8)]
    tempo = arrange(notes, 12.0, Arrangement(**setting), band_tempo=BAND).tempo
    assert np.abs(np.array(tempo.beats)[tempo.downbeat :: 3] - bar).min() < 1e-6


def test_an_edited_melody_keeps_tempo_key_and_bars():
    """Of every kind of edit, without the notes before it some change tempo, metre, key or the first bar."""
    before = arrange(twinkle(), 9.0)
    edits = {
        "nothing": twinkle(),
        "the first notes are deleted": twinkle()[3:],
        "most notes are deleted": twinkle()[-3:],
        "all notes are deleted": [],
        "another key": [replace(note, pitch=note.pitch + (note.pitch % 12 in {4, 9})) for note in twinkle()],
        "later": [replace(note, onset=note.onset + 0.17, offset=note.offset + 0.17) for note in twinkle()],
        "twice as many": [
            Note(start, start + note.duration / 2, note.pitch)
            for note in twinkle()
            for start in (note.onset, note.onset + note.duration / 2)
        ],
    }
    for what, notes in edits.items():
        after = arrange(notes, 9.0, like=before)
        assert (after.tempo, after.key) == (before.tempo, before.key), what
        assert after.opening == before.piano_notes[0].onset
    transposed = arrange(twinkle(), 9.0, Arrangement(transpose=3))
    assert arrange(twinkle()[4:], 9.0, Arrangement(transpose=3), like=transposed).key == transposed.key
    assert any(arrange(notes, 9.0).tempo != before.tempo for notes in edits.values())
