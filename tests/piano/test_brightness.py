"""Filters between recorded strengths, on noise whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.notes.note import Note
from hf_model.piano.brightness import EDGES_HZ, N_BANDS, TAPS, band_levels, equalize, filter_gains
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS

RATE = 44100
NOISE = np.random.default_rng(3).standard_normal((2, 3 * RATE)).astype(np.float32)
FLAT = np.full(N_BANDS, -10.0 * np.log10(N_BANDS), dtype=np.float32)


def test_levels_of_a_tone_lie_in_its_band():
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(3 * RATE) / RATE)[None].astype(np.float32)
    levels = band_levels(tone)
    band = int(np.searchsorted(EDGES_HZ, 1000.0)) - 1
    assert levels.argmax() == band
    assert np.delete(levels, [band - 1, band, band + 1]).max() < -60.0


def test_a_filter_changes_bands_by_its_gains():
    gains = np.where(np.arange(N_BANDS) < 12, 0.0, -12.0)
    before, after = (10.0 ** (band_levels(sound) / 10) for sound in (NOISE, equalize(NOISE, gains)))
    change = 10 * np.log10(after / before)
    change -= change[5]  # levels are relative to the whole note
    assert change[3:9] == pytest.approx(np.zeros(6), abs=0.5)
    assert change[15:22] == pytest.approx(np.full(7, -12.0), abs=0.7)


def test_a_filter_has_no_delay_and_keeps_the_length():
    click = np.zeros((1, 9000), dtype=np.float32)
    click[0, 5000] = 1.0
    filtered = equalize(click, np.linspace(0.0, -20.0, N_BANDS))
    assert filtered.shape == click.shape
    assert int(np.abs(filtered).argmax()) == 5000
    assert np.abs(filtered[0, : 5000 - TAPS // 2]).max() < 1e-6
    longer = equalize(np.pad(click, ((0, 0), (0, 7000))), np.linspace(0.0, -20.0, N_BANDS))
    assert longer[:, :9000] == pytest.approx(filtered, abs=1e-5), "a shorter rendering is the beginning of a longer one"


def test_gains_lead_from_one_layer_to_the_next():
    bright = FLAT + np.linspace(-6.0, 6.0, N_BANDS).astype(np.float32)
    levels, velocities = np.stack([FLAT, bright]), np.array([40, 80])
    assert filter_gains(levels, velocities, 0, 40) == pytest.approx(np.zeros(N_BANDS), abs=1e-5)
    assert filter_gains(levels, velocities, 0, 20) == pytest.approx(np.zeros(N_BANDS), abs=1e-5)
    half = filter_gains(levels, velocities, 0, 60)
    assert np.diff(half) == pytest.approx(np.full(N_BANDS - 1, 6.0 / (N_BANDS - 1)), abs=1e-4)
    assert np.sum(10 ** ((FLAT + half) / 10)) == pytest.approx(np.sum(10 ** (FLAT / 10))), "the level stays"


def test_brightness_rises_without_jumps_where_the_layer_changes():
    piano = SampledPiano.load(WEIGHTS / "piano_concert")
    steps = {}
    for name, brightness in (("with", piano.piano_set.brightness), ("without", None)):
        object.__setattr__(piano.piano_set, "brightness", brightness)
        levels = []
        for velocity in (64, 65, 66, 67):  # layers at 54 and 77
            sound = piano.render([Note(0.0, 2.0, 60.0, velocity)], 2 * RATE)
            levels.append(band_levels(sound))
        steps[name] = float(np.abs(np.diff(levels, axis=0)).mean(axis=1).max())
    assert steps["with"] < 0.5 * steps["without"]
