"""A made band, from its audio to beats, bars and chords."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.band.listener import BandListener, listen_to_band
from tests.band.bands import PROGRESSION, RATE, make_band


@pytest.mark.parametrize(("bpm", "beats_per_bar", "downbeat"), [(92.0, 4, 0), (126.0, 4, 2), (110.0, 3, 1)])
def test_tempo_bars_and_chords_of_a_band(bpm, beats_per_bar, downbeat):
    true = 0.3 + 60.0 / bpm * np.arange(int(24 * bpm / 60))
    band = listen_to_band(make_band(true, beats_per_bar, downbeat), RATE)
    assert band.tempo is not None
    assert band.tempo.bpm == pytest.approx(bpm, rel=0.02)
    assert band.tempo.meter == (beats_per_bar, 4)
    inner = true[2:-2]
    errors = np.abs(np.array(band.tempo.beats)[:, None] - inner).min(axis=0)
    assert errors.max() < 0.05
    bars = np.array(band.tempo.beats)[band.tempo.downbeat :: beats_per_bar]
    assert np.abs(bars[:, None] - true[downbeat::beats_per_bar][1:-1]).min(axis=0).max() < 0.05
    names = {(chord.root, chord.is_minor) for chord in band.chords if chord.offset - chord.onset > 1.0}
    assert names == set(PROGRESSION)


def test_blocks_give_what_the_whole_gives():
    audio = make_band(0.3 + 0.6 * np.arange(30))
    listener = BandListener(RATE)
    for start in range(0, len(audio), 4000):
        listener.push(audio[start : start + 4000])
    parts, whole = listener.finish(), listen_to_band(audio, RATE)
    assert parts.tempo is not None
    assert whole.tempo is not None
    np.testing.assert_allclose(parts.tempo.beats, whole.tempo.beats, atol=1e-3)
    assert [(c.root, c.is_minor) for c in parts.chords] == [(c.root, c.is_minor) for c in whole.chords]


@pytest.mark.parametrize("seconds", [0.0, 2.0, 20.0])
def test_silence_has_no_tempo(seconds):
    band = listen_to_band(np.zeros(int(seconds * RATE), dtype=np.float32), RATE)
    assert band.tempo is None
    assert band.chords == ()


def test_a_drone_in_free_time_has_no_tempo():
    rng = np.random.default_rng(1)
    audio = np.zeros(30 * RATE)
    for onset in np.cumsum(rng.uniform(0.3, 3.0, 14)):
        time = np.arange(3 * RATE) / RATE
        first = int(onset * RATE)
        part = audio[first : first + 3 * RATE]
        swell = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 400) * time) * np.minimum(1, time) * np.exp(-time)
        part += swell[: len(part)]
    assert listen_to_band(audio.astype(np.float32), RATE).tempo is None
