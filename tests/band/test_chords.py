"""Chords of a made band with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.band.chords import beat_chroma, chord_features, estimate_band_tuning, recognize_chords
from hf_model.band.spectrum import SpectrumStream
from hf_model.music.tempo import Tempo
from tests.band.bands import PROGRESSION, RATE, make_band

BEATS = 0.4 + 0.5 * np.arange(34)
TEMPO = Tempo(120.0, 1.0, tuple(BEATS.tolist()), 1, (4, 4), 1.0)


def spectra(**options):
    stream = SpectrumStream(RATE)
    stream.push(make_band(BEATS, downbeat=1, **options))
    return stream.finish()


@pytest.mark.parametrize("tuning", [0.0, 0.3])
def test_the_progression_is_recognised_in_any_tuning(tuning):
    found = spectra(tuning=tuning)
    assert estimate_band_tuning(found.chroma) == pytest.approx(tuning, abs=0.08)
    chords = recognize_chords(found, TEMPO)
    whole = [chord for chord in chords if chord.offset - chord.onset > 1.5]
    assert [(chord.root, chord.is_minor) for chord in whole][:8] == [*PROGRESSION] * 2
    np.testing.assert_allclose([chord.onset for chord in whole][1:8], BEATS[5::4][:7])


def test_chords_have_no_gaps():
    chords = recognize_chords(spectra(), TEMPO)
    assert [chord.onset for chord in chords[1:]] == [chord.offset for chord in chords[:-1]]
    assert (chords[0].onset, chords[-1].offset) == (BEATS[0], BEATS[-1])


def test_beat_chroma_has_the_bass_and_the_triad():
    rolls = beat_chroma(spectra(has_drums=False), BEATS)
    first_bar = rolls[1:4].mean(axis=0)
    assert first_bar[0].argmax() == 0
    assert set(np.argsort(-first_bar[1])[:3]) == {0, 4, 7}


def test_features_turn_with_the_root():
    rolls = np.random.default_rng(0).random((6, 2, 12))
    places = np.arange(6) % 4
    plain, up = chord_features(rolls, places), chord_features(np.roll(rolls, 3, axis=2), places)
    np.testing.assert_allclose(up[3], plain[0])
