from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.music.accompaniment import HIGHEST_VOICE, accompany, bass_key, voicing
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.chords import (
    N_FEATURES,
    WHOLE,
    Chord,
    chord_scores,
    default_model,
    estimate_chords,
    features,
    pitch_class_rolls,
)
from hf_model.music.key import Key, parse_key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.singer.composition import compose

C, F, G = ((60, 64, 67, 64), (65, 69, 72, 69), (67, 71, 74, 71))


def tempo(bpm=100.0, n_beats=40, meter=(4, 4), downbeat=0) -> Tempo:
    return Tempo(bpm, 1.0, tuple(60.0 / bpm * k for k in range(n_beats)), downbeat, meter, 1.0)


def quarters(*bars: tuple[int, ...], shift: int = 0, beat: float = 0.6) -> list[Note]:
    keys = [key + shift for bar in bars for key in bar]
    return [Note(beat * k, beat * (k + 1), float(key)) for k, key in enumerate(keys)]


@pytest.mark.parametrize("shift", [0, 3, -4])
def test_broken_chords_are_recognised_in_any_key(shift):
    chords = estimate_chords(quarters(C, F, G, C, shift=shift), Key(shift % 12, "major"), tempo())
    assert [((chord.root - shift) % 12, chord.is_minor) for chord in chords] == [
        (0, False), (5, False), (7, False), (0, False)
    ]  # fmt: skip
    assert [round(chord.onset / 0.6) for chord in chords] == [0, 4, 8, 12]
    assert chords[-1].offset == pytest.approx(9.6)


def test_a_minor_tune_ends_on_its_minor_chord():
    notes = quarters((57, 60, 64, 60), (62, 65, 69, 65), (64, 68, 71, 68), (57, 60, 64, 57))
    chords = estimate_chords(notes, parse_key("A minor"), tempo())
    assert (chords[0].root, chords[0].is_minor) == (9, True)
    assert (chords[-1].root, chords[-1].is_minor) == (9, True)


def test_features_of_a_beat():
    rolls = pitch_class_rolls(quarters(C), np.arange(9) * 0.3)
    assert rolls.sum(axis=1) == pytest.approx(np.ones(8))
    assert [int(row.argmax()) for row in rolls] == [0, 0, 4, 4, 7, 7, 4, 4]
    described = features(rolls, 1)
    assert described.shape == (4, N_FEATURES)
    assert np.flatnonzero(described[1, :24]).tolist() == [4, 16], "the third in both halves of the second beat"
    assert described[2, 24:36] == pytest.approx(WHOLE * np.bincount([0, 4, 7, 4], minlength=12) / 4)
    assert np.all(described[:, -1] == 1)


def test_scores_of_a_beat_depend_on_fifteen_beats_on_both_sides():
    network = default_model().network
    described = np.zeros((60, N_FEATURES))
    changed = described.copy()
    changed[30] = 1.0
    differs = np.flatnonzero(np.abs(chord_scores(described, network) - chord_scores(changed, network)).max(axis=1) > 0)
    assert (differs.min(), differs.max()) == (15, 45)


def test_the_model_prefers_common_changes():
    model = default_model()
    assert model.change[0] > model.change[2] > model.change[1], "most changes are on the bar, then on its middle"
    major = np.exp(model.transition[0])
    assert major[14].argmax() in {0, 18}, "from the dominant to the tonic or the sixth degree"
    assert major.sum(axis=1) == pytest.approx(np.ones(24), abs=1e-3)


def test_pitch_classes_of_chords():
    assert Chord(0, 1, 9, True).pitch_classes == (9, 0, 4)
    assert Chord(0, 1, 7, False).pitch_classes == (7, 11, 2)


def test_bass_on_one_and_three_chord_on_two_and_four():
    melody = quarters((72, 76, 79, 76), (72, 72, 72, 72))
    left = accompany(melody, [Chord(0, 4.8, 0, False)], tempo())
    beats: dict[int, list[int]] = {}
    for note in left:
        beats.setdefault(round(note.onset / 0.6), []).append(int(note.pitch))
    assert {beat: [key % 12 for key in keys] for beat, keys in beats.items() if beat < 7} == {
        0: [0], 1: [4, 7, 0], 2: [0], 3: [4, 7, 0], 4: [0], 5: [4, 7, 0], 6: [0],
    }  # fmt: skip
    assert max(max(keys) for keys in beats.values()) <= HIGHEST_VOICE
    assert left[-1].offset == pytest.approx(melody[-1].offset), "it ends with the melody"
    assert all(note.velocity < melody[0].velocity for note in left)


def test_an_early_last_note_gets_its_chord():
    melody = [*quarters(C, G), Note(4.75, 6.0, 72.0)]
    chords = [Chord(0, 4.8, 7, False), Chord(4.8, 6.0, 0, False)]
    last = accompany(melody, chords, tempo())[-4:]
    assert {round(note.onset, 6) for note in last} == {4.8}
    assert {int(note.pitch) % 12 for note in last} == {0, 4, 7}
    assert {note.offset for note in last} == {6.0}


def test_a_waltz_has_one_bass_a_bar():
    melody = quarters((72, 76, 79), (74, 77, 79), (72, 72, 72))
    left = accompany(melody, [Chord(0, 5.4, 0, False)], tempo(meter=(3, 4)))
    low = [round(note.onset / 0.6) for note in left if note.pitch < 43]
    assert [beat for beat in low if beat < 8] == [0, 3, 6]


def test_voice_leading_is_smooth():
    steps = []
    before = voicing(Chord(0, 1, 0, False), 80, ())
    for root, is_minor in ((9, True), (5, False), (7, False), (0, False)):
        after = voicing(Chord(0, 1, root, is_minor), 80, before)
        steps.append(sum(abs(a - b) for a, b in zip(before, after, strict=True)))
        before = after
    assert max(steps) <= 6
    assert steps[0] <= 2, "C to A minor moves one voice"


def test_a_low_melody_leaves_fewer_keys():
    assert voicing(Chord(0, 1, 0, False), 45, ()) == (43,)
    assert voicing(Chord(0, 1, 0, False), 40, ()) == ()
    assert bass_key(Chord(0, 1, 0, False), 80) == 36
    assert bass_key(Chord(0, 1, 0, False), 38) == 24


def test_no_notes_no_chords():
    assert estimate_chords([], Key(0, "major"), tempo()) == []
    assert accompany([], [], tempo()) == []
    assert arrange([], 3.0, Arrangement(accompany=True)).accompaniment == []


def test_a_minute_is_arranged_within_seconds():
    notes = compose(3, 60.0)
    started = time.perf_counter()
    found = arrange(notes, 60.0, Arrangement(accompany=True, simplify=2, agree_repeats=True))
    assert found.chords
    assert time.perf_counter() - started < 3.0


melodies = st.lists(st.tuples(st.integers(21, 108), st.floats(0.05, 2.0), st.floats(0, 2.0)), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None)
@given(melodies, st.sampled_from(["2/4", "3/4", "4/4", "6/8"]), st.integers(0, 3), st.floats(0, 2))
def test_the_left_hand_is_below_any_melody(parts, meter, simplify, lead):
    notes, now = [], lead
    for key, seconds, rest in parts:
        notes.append(Note(now, now + seconds, float(key)))
        now += seconds + rest
    duration = now + 0.5
    found = arrange(notes, duration, Arrangement(accompany=True, simplify=simplify, meter=meter))
    left = found.accompaniment
    assert all(0 <= note.onset < note.offset <= found.piano_notes[-1].offset + 1e-9 for note in left)
    assert all(
        below.pitch < above.pitch
        for below in left
        for above in found.piano_notes
        if below.onset < above.offset - 1e-9 and above.onset < below.offset - 1e-9
    )
    assert all(21 <= note.pitch <= 108 and note.pitch == int(note.pitch) for note in left)
    assert all(a.offset <= b.onset + 1e-9 for a, b in pairwise(found.chords))
