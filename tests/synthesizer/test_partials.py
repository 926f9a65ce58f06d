"""The table of partials: fitting, storing and rendering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.evaluation.audio_metrics import si_sdr
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.fit_partials import (
    cut_body,
    cut_hammer,
    find_partials,
    fit_envelopes,
    fit_gain,
    fit_series,
    fit_table,
    measure_noise,
    play_body,
    play_partials,
    quantise_waveforms,
    refine,
)
from hf_model.synthesizer.partials import KNOTS, N_BANDS, PartialTable, band_weights, interpolation, knot_weights

NUMBERS = np.arange(1, 11)
HZ = 220.3 * NUMBERS * np.sqrt(1 + 4e-4 * NUMBERS**2)


@pytest.fixture(scope="module")
def string() -> np.ndarray:
    """A synthetic string: ten decaying inharmonic partials, 3 s."""
    seconds = np.arange(3 * PIANO_SAMPLE_RATE) / PIANO_SAMPLE_RATE
    partials = [
        0.1 / n * np.exp(-2 * seconds) * np.cos(2 * np.pi * f * seconds + n) for n, f in zip(NUMBERS, HZ, strict=True)
    ]
    return np.sum(partials, axis=0)


def test_partials_of_a_synthetic_string_are_found(string: np.ndarray) -> None:
    found, f0 = find_partials(string, 220.0)
    assert f0 == pytest.approx(220.3, rel=2e-3)
    np.testing.assert_allclose(found[:10], HZ, atol=0.3)
    np.testing.assert_allclose(refine(string, found[:10]), HZ, atol=0.1)
    series = [(int(n), float(f), 1.0) for n, f in zip(NUMBERS, HZ, strict=True)]
    assert fit_series(series) == pytest.approx((220.3, 4e-4), rel=1e-3)


def test_partials_of_a_synthetic_string_are_rendered(string: np.ndarray) -> None:
    envelope = fit_envelopes(string, HZ, 220.3)
    assert si_sdr(string[:PIANO_SAMPLE_RATE], play_partials(HZ, envelope, PIANO_SAMPLE_RATE)) > 25
    np.testing.assert_allclose(fit_gain(envelope * (0.5 - 0.2j), envelope), 0.5 - 0.2j)


def test_the_noise_level_of_white_noise() -> None:
    rng = np.random.default_rng(0)
    levels = measure_noise(rng.standard_normal(PIANO_SAMPLE_RATE))
    assert levels.shape == (len(KNOTS), N_BANDS)
    expected = 10 * np.log10(np.sum(np.hanning(2048) ** 2))
    measured = 10 * np.log10(np.mean(10 ** (levels[4:20] / 10), axis=0))
    np.testing.assert_allclose(measured[3:], expected, atol=2)


def test_the_hammer_is_faded_out_and_survives_quantisation(string: np.ndarray) -> None:
    hammer = cut_hammer(string)
    np.testing.assert_array_equal(hammer[:1024], string[:1024])
    assert abs(hammer[-1]) < 1e-6
    levels, peak = quantise_waveforms(hammer[None, None])
    again = np.sign(levels) * (np.abs(levels) / 127.0) ** 1.5 * peak[..., None]
    assert si_sdr(hammer, again[0, 0]) > 30


def test_the_body_contains_low_frequencies_only() -> None:
    seconds = np.arange(PIANO_SAMPLE_RATE) / PIANO_SAMPLE_RATE
    low, high = (np.sin(2 * np.pi * hz * seconds) * np.exp(-3 * seconds) * (seconds > 0.03) for hz in (300.0, 2000.0))
    body = play_body(cut_body(low + high), PIANO_SAMPLE_RATE)
    inside = slice(PIANO_SAMPLE_RATE // 20, 9 * PIANO_SAMPLE_RATE // 10)
    assert si_sdr(low[inside].astype(np.float32), body[inside].astype(np.float32)) > 35


def test_weights_interpolate_between_knots() -> None:
    weights = interpolation(np.array([0, 5, 10, 20]), np.array([0, 10]))
    np.testing.assert_allclose(weights, [[1, 0], [0.5, 0.5], [0, 1], [0, 1]])
    assert not knot_weights(1002)[1000:].any()
    np.testing.assert_allclose(band_weights().sum(axis=1), 1, atol=1e-5)


def test_the_shipped_table_covers_every_key() -> None:
    table = PartialTable.load()
    assert len(table.first) == 2 * 88 + 1
    assert (np.diff(table.first) >= 20).all()
    assert table.frequency.max() < 16100
    assert PartialTable.load().digest == table.digest


def test_a_table_of_two_keys_is_fitted_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.synthesizer.fit_partials.LOWEST_KEY", 60)
    monkeypatch.setattr("hf_model.synthesizer.fit_partials.HIGHEST_KEY", 61)
    table = fit_table(SampledPiano.load(channels=1), seconds=1.0)
    assert len(table.first) == 5
    assert table.hammer.shape[:2] == (2, 8)
    table.save(tmp_path)
    assert PartialTable.load(tmp_path).digest == table.digest
