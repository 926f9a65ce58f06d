"""Tempo, beats and metre of tunes whose beats are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.music.beat_tracking import fit_beats, follow, returning_rhythms
from hf_model.music.meter import METERS, default_meter_model
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.note import Note

# Places in quarters. A song in 4/4 with eighths, and its last two bars with syncopes; a waltz; a jig (in eighths).
SONG = [
    0,
    1,
    2,
    3,
    4,
    4.5,
    5,
    6,
    8,
    8.5,
    9,
    9.5,
    10,
    11,
    12,
    14,
    16,
    17,
    18,
    19,
    20,
    20.5,
    21,
    22,
    24,
    25,
    26,
    26.5,
    27,
    28,
]
WALTZ = [bar * 3 + place for bar in range(10) for place in ([0, 1, 2], [0, 2], [0, 1, 1.5, 2], [0])[bar % 4]]


def tune(places, bpm, start=0.5, jitter=0.0, seed=0):
    """Sing notes at places in quarters."""
    rng = np.random.default_rng(seed)
    onsets = start + 60.0 / bpm * np.array(places, dtype=float) + jitter * rng.standard_normal(len(places))
    ends = [*onsets[1:], *(onsets[-1:] + 0.5)]
    return [Note(float(a), float(a + 0.9 * (b - a)), 60.0) for a, b in zip(onsets, ends, strict=True)]


@pytest.mark.parametrize("bpm", [84, 90, 96, 102])
@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_a_known_tempo_is_found_from_jittered_notes(bpm, jitter):
    found = estimate_tempo(tune(SONG, bpm, jitter=jitter), 30.0)
    assert found.bpm == pytest.approx(bpm, rel=0.02)
    assert found.confidence > 0.5
    on_beats = np.array([note.onset for note, place in zip(tune(SONG, bpm), SONG, strict=True) if place % 1 == 0])
    errors = [np.min(np.abs(np.array(found.beats) - onset)) for onset in on_beats]
    assert max(errors) < 0.04


def test_beats_reach_from_the_first_onset_to_the_end():
    found = estimate_tempo(tune(SONG, 90), 40.0)
    assert found.beats[0] <= 0.5 + 0.05
    assert found.beats[-1] >= 40.0
    assert np.all(np.diff(found.beats) > 0.5)


def test_a_tempo_that_drifts_is_followed():
    places = np.arange(48) / 1.0
    seconds = 0.3 + np.cumsum(60.0 / np.linspace(80, 92, 48))
    notes = [Note(float(s), float(s) + 0.3, 60.0) for s in seconds]
    beats = estimate_tempo(notes).to_beats(seconds)
    np.testing.assert_allclose(beats - beats[0], places, atol=0.15)


def test_a_given_tempo_is_kept_exactly():
    found = estimate_tempo(tune(SONG, 91, jitter=0.01), 25.0, bpm=91.0)
    assert (found.bpm, found.confidence) == (91.0, 1.0)
    np.testing.assert_allclose(np.diff(found.beats), 60 / 91)
    assert min(abs(beat - 0.5) for beat in found.beats) < 0.03


@pytest.mark.parametrize("bpm", [62, 74])
def test_of_a_slow_tempo_twice_as_many_beats_may_be_found(bpm):
    found = estimate_tempo(tune(SONG, bpm), 30.0)
    assert min(abs(found.bpm / bpm - 1), abs(found.bpm / bpm / 2 - 1)) < 0.02


def test_a_pick_up_comes_before_the_first_whole_bar():
    # One quarter before the bar, then long first and third quarters: the bar line is where the long notes are.
    places = [-1] + [4 * bar + place for bar in range(8) for place in ([0, 2], [0, 1, 2, 3], [0, 1.5, 2], [0])[bar % 4]]
    melody = [
        replace(note, pitch={0: 60.0, 2: 64.0}.get(place % 4, 62.0))
        for note, place in zip(tune(places, 84, start=1.5), places, strict=True)
    ]
    found = estimate_tempo(melody, 30.0, bpm=84.0, meter="4/4")
    assert found.downbeat == 1
    assert found.beats[found.downbeat] == pytest.approx(1.5, abs=0.02)


def test_a_waltz_and_a_jig_with_a_given_metre():
    waltz = estimate_tempo(tune(WALTZ, 100), meter="3/4")
    assert (waltz.meter, waltz.beats_per_bar, waltz.meter_confidence) == ((3, 4), 3, 1.0)
    jig = [k * 3 + place for k in range(16) for place in ([0, 2], [0, 1, 2])[k % 2]]
    found = estimate_tempo(tune([place / 3 for place in jig], 100), meter="6/8")  # 100 dotted quarters
    assert found.is_compound
    assert found.beats_per_bar == 2
    assert found.bpm == pytest.approx(100, rel=0.02)


def test_onsets_without_a_beat_give_little_confidence():
    rng = np.random.default_rng(5)
    confidences = []
    for _ in range(8):
        onsets = np.cumsum(np.exp(rng.normal(np.log(0.4), 0.5, 50)))
        confidences.append(estimate_tempo([Note(float(t), float(t) + 0.1, 60.0) for t in onsets]).confidence)
    assert np.median(confidences) < 0.4


def test_onsets_at_random_are_free_rhythm():
    rng = np.random.default_rng(4)
    for _ in range(5):
        onsets = np.sort(rng.uniform(0.5, 20.5, 50))
        notes = [Note(float(t), float(t) + 0.05, 60.0) for t in onsets]
        found = estimate_tempo(notes, 25.0)
        assert (found.is_free, found.confidence, found.meter_confidence) == (True, 0.0, 0.0)
        np.testing.assert_allclose(np.diff(found.beats), 1.0)
        assert found.beats[0] == pytest.approx(onsets[0])
        assert not estimate_tempo(notes, 25.0, bpm=100.0).is_free, "a given tempo is obeyed"


def test_a_strong_ritardando_is_no_free_rhythm():
    beat = 60.0 / np.append(np.full(26, 96.0), np.linspace(96.0, 60.0, 7))
    seconds = np.interp(SONG, np.arange(34), np.append(0.5, 0.5 + np.cumsum(beat)))
    found = estimate_tempo([Note(float(s), float(s) + 0.2, 60.0) for s in seconds])
    assert not found.is_free
    assert min(abs(found.bpm / 96 - 1), abs(found.bpm / 48 - 1)) < 0.05, "the usual tempo, not that of the end"


@pytest.mark.parametrize("meter", METERS)
def test_a_given_metre_is_obeyed(meter):
    found = estimate_tempo(tune(SONG, 90), meter=meter)
    assert (found.meter_name, found.meter_confidence, found.other_meters) == (meter, 1.0, ())
    assert found.beats_per_bar == METERS[meter].n_places // METERS[meter].steps_per_beat


def test_other_metres_are_named():
    assert estimate_tempo(tune(KNOWN["4/4"], 100)).other_meters[0] == "2/4"
    assert estimate_tempo(tune(KNOWN["6/8"], 70)).other_meters[0] == "12/8"
    assert estimate_tempo(tune(WALTZ, 100)).other_meters[:1] != ("2/4",)


@pytest.mark.parametrize("n_notes", [0, 1, 4])
def test_too_few_notes_give_the_default_tempo(n_notes):
    found = estimate_tempo(tune(SONG[:n_notes], 90), 3.0)
    assert (found.bpm, found.confidence) == (120.0, 0.0)
    assert found.beats[-1] >= 3.0


@pytest.mark.parametrize(("setting", "words"), [({"bpm": 5.0}, "tempo is 5.0"), ({"meter": "7/8"}, "meter is '7/8'")])
def test_impossible_settings_are_refused(setting, words):
    with pytest.raises(ConfigError, match=words):
        estimate_tempo([], 1.0, **setting)


@given(st.lists(st.floats(0.2, 2.0), min_size=2, max_size=20), st.lists(st.floats(-5.0, 60.0), min_size=1, max_size=9))
def test_seconds_and_beats_are_each_others_inverse(lengths, seconds):
    tempo = Tempo(60.0, 1.0, tuple(np.cumsum(lengths).tolist()))
    np.testing.assert_allclose(tempo.to_seconds(tempo.to_beats(seconds)), seconds, atol=1e-9)


def test_common_rhythms_have_a_higher_likelihood():
    four = next(rhythm for rhythm in default_meter_model().rhythms if rhythm.meter.name == "4/4")
    steps = np.array([[0, 0], [4, 1], [8, 9], [12, 15], [16, 18]])
    likelihood = four.log_likelihood(steps)
    assert likelihood.shape == (16, 2)
    assert likelihood[0, 0] > likelihood[0, 1] + 3, "quarters, and a rhythm that nobody sings"
    assert likelihood[0, 0] > likelihood[1, 0] + 3, "quarters lie on quarters"


def test_rhythms_that_return_are_counted():
    steps = np.array([0, 4, 6, 8, 16, 20, 22, 24])[:, None]
    assert returning_rhythms(steps, 16)[0] == pytest.approx(np.sqrt(4)), "all four that can return do"
    assert returning_rhythms(steps, 5)[0] == 0


KNOWN = {
    "4/4": [
        bar * 4 + place for bar in range(8) for place in ([0, 1, 2, 3], [0, 1, 2], [0, 1, 2, 2.5, 3], [0, 2])[bar % 4]
    ],
    "3/4": WALTZ,
    "6/8": [beat + place / 3 for beat in range(24) for place in ([0, 2], [0, 1, 2], [0, 2], [0])[beat % 4]],
}


@pytest.mark.parametrize("meter", KNOWN)
@pytest.mark.parametrize("bpm", [84, 100, 116])
def test_plain_tunes_in_every_metre(meter, bpm):
    places, bpm = KNOWN[meter], 0.7 * bpm if meter == "6/8" else bpm
    found = estimate_tempo(tune(places, bpm, jitter=0.015))
    assert found.meter_name == meter
    told = estimate_tempo(tune(places, bpm, jitter=0.015), bpm=bpm, meter=meter)
    whole = 1 if meter == "6/8" else told.beats_per_bar  # which of its two beats is the first is ambiguous
    assert np.cos(2 * np.pi * (told.to_beats(0.5) - told.downbeat) / whole) > 0.7


def test_steps_and_beats_of_a_constant_tempo():
    onsets = 0.2 + 0.15 * np.array([0, 4, 8, 10, 12, 16, 20, 24.0])
    grids = follow(onsets, np.array([0.15]), 4)
    best = int(np.argmax(grids.fit))
    assert (grids.steps[:, best] - grids.steps[0, best]).tolist() == [0, 4, 8, 10, 12, 16, 20, 24]
    beats, first = fit_beats(onsets, grids.steps[:, best] - grids.steps[0, best], 4)
    assert first == 0
    np.testing.assert_allclose(beats[:7], 0.2 + 0.6 * np.arange(7), atol=1e-3)


FOUR = Tempo(120.0, 0.8, tuple(0.5 * k for k in range(17)), 2, (4, 4), 0.7)


@pytest.mark.parametrize(("seconds", "downbeat"), [(1.0, 2), (1.5, 3), (2.0, 0), (6.5, 1)])
def test_a_bar_begins_where_it_is_set(seconds, downbeat):
    moved = FOUR.with_downbeat(seconds)
    assert (moved.beats, moved.downbeat) == (FOUR.beats, downbeat)


@pytest.mark.parametrize("seconds", [1.2, 1.3, 3.9])
def test_beats_move_with_a_downbeat_between_them(seconds):
    moved = FOUR.with_downbeat(seconds)
    bars = np.array(moved.beats)[moved.downbeat :: 4]
    assert np.abs(bars - seconds).min() < 1e-9
    np.testing.assert_allclose(np.diff(moved.beats), 0.5)
    assert moved.beats[0] <= 0.0 or moved.beats[0] < 0.5


def test_beats_are_halved_and_doubled_for_a_tempo_that_is_set():
    assert FOUR.with_settings(None, None) == FOUR
    slow, fast = FOUR.with_settings(60.0, None), FOUR.with_settings(238.0, "4/4")
    assert (slow.beats[:3], slow.bpm, slow.confidence) == ((0.0, 1.0, 2.0), 60.0, 1.0)
    assert (fast.beats[:3], fast.bpm) == ((0.0, 0.25, 0.5), 240.0)
    assert FOUR.with_settings(95.0, None) is None, "these are not the beats of that tempo"


def test_other_metre_keeps_beats_unless_of_three_parts():
    assert FOUR.with_settings(None, "3/4").meter == (3, 4)
    assert FOUR.with_settings(None, "6/8") is None
