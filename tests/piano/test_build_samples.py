"""Building the sampled piano's set: the fits on made sounds, and FluidSynth itself where it is installed."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import pytest

from hf_model.evaluation.audio_metrics import log_mel_distance, si_sdr, spectral_convergence
from hf_model.notes.note import Note
from hf_model.piano.build_samples import VELOCITIES, build, find_loop, fit_mix, fit_release, mix_table
from hf_model.piano.fluidsynth import BLOCK, SOUND_FONT, FluidPiano, to_block
from hf_model.piano.rendering import SAMPLE_RATE
from hf_model.piano.sampled import SampledPiano

RNG = np.random.default_rng(0)


def test_times_move_to_fluidsynths_grid() -> None:
    assert [to_block(seconds) for seconds in (0.0, 0.001, 0.5)] == [0, BLOCK, 344 * BLOCK + BLOCK]
    assert to_block(1.0) % BLOCK == 0


def test_the_mix_of_two_layers_is_found() -> None:
    below, above = RNG.standard_normal((2, 4000)).astype(np.float32)
    np.testing.assert_allclose(fit_mix(below, above, 0.3 * below + 0.6 * above), [0.3, 0.6], atol=1e-6)


def test_the_dampers_rate_is_found() -> None:
    struck = RNG.standard_normal(SAMPLE_RATE).astype(np.float32)
    held = SAMPLE_RATE // 2
    released = struck.copy()
    released[held:] *= 10 ** (-80 / 20 * np.arange(SAMPLE_RATE - held) / SAMPLE_RATE)
    assert fit_release(struck, released, held) == pytest.approx(80, rel=0.01)


def test_the_loop_of_a_long_note_is_found() -> None:
    period = round(1.7 * SAMPLE_RATE)
    once = RNG.standard_normal(period)
    long = 0.1 * np.concatenate([once * 0.8**k for k in range(12)])
    loop, gain = find_loop(long.astype(np.float32))
    assert loop == period
    assert gain == pytest.approx(0.8, abs=1e-3)
    assert find_loop(np.zeros(20 * SAMPLE_RATE, dtype=np.float32)) == (0, 0.0)
    assert find_loop(long[: 10 * SAMPLE_RATE].astype(np.float32)) == (0, 0.0)


def test_mixes_run_from_layer_to_layer() -> None:
    weights = dict.fromkeys(VELOCITIES, (1.0, 0.0)) | {60: (0.6, 0.5), 6: (0.2, 0.0)}
    table = mix_table(weights)
    assert table.shape == (128, 2)
    for velocity in VELOCITIES:
        np.testing.assert_allclose(table[velocity], [1, 0])
    np.testing.assert_allclose(table[60], [0.6, 0.5])
    np.testing.assert_allclose(table[54], [0.8, 0.25])  # half way from 48 to 60
    np.testing.assert_allclose(table[73], [0.6 / 14, 0.5 + 0.5 * 13 / 14], rtol=1e-5)
    np.testing.assert_allclose(table[6], [0.2, 0.0])


def fluidsynth_is_here() -> bool:
    return Path(SOUND_FONT).is_file() and ctypes.util.find_library("fluidsynth") is not None


needs_fluidsynth = pytest.mark.skipif(not fluidsynth_is_here(), reason="FluidSynth or MuseScore General not installed")


@needs_fluidsynth
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_sampled_piano_is_the_reference_instrument() -> None:
    notes = [
        Note(to_block(0.3 * i) / SAMPLE_RATE, to_block(0.3 * i + 0.25) / SAMPLE_RATE, 50 + 3 * i, 60 + 5 * i)
        for i in range(12)
    ]
    reference = FluidPiano().render(notes, 4 * SAMPLE_RATE)
    assert reference.shape == (2, 4 * SAMPLE_RATE)
    estimate = SampledPiano.load().render(notes, 4 * SAMPLE_RATE)
    for side in (slice(0, 1), slice(1, 2)):
        assert log_mel_distance(reference[side], estimate[side]) < 2.0
    reference, estimate = (audio.mean(axis=0, keepdims=True) for audio in (reference, estimate))
    assert log_mel_distance(reference, estimate) < 1.5
    assert spectral_convergence(reference, estimate) < 0.06
    assert si_sdr(reference, estimate) > 22


@needs_fluidsynth
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_set_of_two_keys_is_built_and_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.piano.build_samples.HIGHEST_KEY", 22)
    monkeypatch.setattr("hf_model.piano.build_samples.NOTE_SECONDS", 3.0)
    monkeypatch.setattr("hf_model.piano.build_samples.FITTED", (60, 90))
    build(tmp_path, SOUND_FONT)
    audio = SampledPiano.load(tmp_path).render([Note(0.0, 1.0, 22, 80)], SAMPLE_RATE)
    shipped = SampledPiano.load().render([Note(0.0, 1.0, 22, 80)], SAMPLE_RATE)
    assert si_sdr(shipped, audio) > 20


@needs_fluidsynth
def test_a_file_that_is_no_sound_font_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.sf2"
    path.write_text("no")
    with pytest.raises(OSError, match=r"no\.sf2: not a sound font"):
        FluidPiano(path)
