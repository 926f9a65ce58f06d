"""Building the sampled piano's set: the fits on synthetic sounds, and FluidSynth itself where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.evaluation.audio_metrics import si_sdr
from hf_model.notes.note import Note
from hf_model.piano.build_samples import VELOCITIES, build, find_loop, fit_mix, fit_release, mix_table
from hf_model.piano.fluidsynth import find_sound_font
from hf_model.piano.sampled import SampledPiano
from tests.piano.test_fluidsynth import needs_fluidsynth

RNG = np.random.default_rng(0)


def test_the_mix_of_two_layers_is_fitted() -> None:
    below, above = RNG.standard_normal((2, 4000)).astype(np.float32)
    np.testing.assert_allclose(fit_mix(below, above, 0.3 * below + 0.6 * above), [0.3, 0.6], atol=1e-6)


def test_the_rate_of_the_damper_is_fitted() -> None:
    struck = RNG.standard_normal(PIANO_SAMPLE_RATE).astype(np.float32)
    held = PIANO_SAMPLE_RATE // 2
    released = struck.copy()
    released[held:] *= 10 ** (-80 / 20 * np.arange(PIANO_SAMPLE_RATE - held) / PIANO_SAMPLE_RATE)
    assert fit_release(struck, released, held) == pytest.approx(80, rel=0.01)


def test_the_loop_of_a_long_note_is_found() -> None:
    period = round(1.7 * PIANO_SAMPLE_RATE)
    once = RNG.standard_normal(period)
    long = 0.1 * np.concatenate([once * 0.8**k for k in range(12)])
    loop, gain = find_loop(long.astype(np.float32))
    assert loop == period
    assert gain == pytest.approx(0.8, abs=1e-3)
    assert find_loop(np.zeros(20 * PIANO_SAMPLE_RATE, dtype=np.float32)) == (0, 0.0)
    assert find_loop(long[: 10 * PIANO_SAMPLE_RATE].astype(np.float32)) == (0, 0.0)


def test_mixes_are_interpolated_between_layers() -> None:
    weights = dict.fromkeys(VELOCITIES, (1.0, 0.0)) | {60: (0.6, 0.5), 6: (0.2, 0.0)}
    table = mix_table(weights)
    assert table.shape == (128, 2)
    for velocity in VELOCITIES:
        np.testing.assert_allclose(table[velocity], [1, 0])
    np.testing.assert_allclose(table[60], [0.6, 0.5])
    np.testing.assert_allclose(table[54], [0.8, 0.25])  # half way from 48 to 60
    np.testing.assert_allclose(table[73], [0.6 / 14, 0.5 + 0.5 * 13 / 14], rtol=1e-5)
    np.testing.assert_allclose(table[6], [0.2, 0.0])


@needs_fluidsynth
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_set_of_two_keys_is_built_and_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.piano.build_samples.HIGHEST_KEY", 22)
    monkeypatch.setattr("hf_model.piano.build_samples.NOTE_SECONDS", 3.0)
    monkeypatch.setattr("hf_model.piano.build_samples.FITTED", (60, 90))
    build(tmp_path, find_sound_font())
    audio = SampledPiano.load(tmp_path).render([Note(0.0, 1.0, 22, 80)], PIANO_SAMPLE_RATE)
    shipped = SampledPiano.load().render([Note(0.0, 1.0, 22, 80)], PIANO_SAMPLE_RATE)
    assert si_sdr(shipped, audio) > 20
