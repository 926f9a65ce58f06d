from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from hf_model.audio.grid import resampled_length
from hf_model.audio.io import to_mono, write_audio, write_wav_blocks
from hf_model.audio.resampling import resample, resample_blocks
from tests.stand_ins import tones

A4 = tones([69], 44100, duration=0.8)


def strongest_hz(audio: np.ndarray, sample_rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * sample_rate / audio.shape[-1])


def test_to_mono_averages() -> None:
    np.testing.assert_array_equal(to_mono(np.array([[1, 0], [0, 0.5]], dtype=np.float32)), [0.5, 0.25])


@given(st.integers(1, 3000), st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000]))
def test_resampled_length_is_exact_whole_or_in_blocks(n_samples: int, sample_rate: int) -> None:
    audio = np.ones(n_samples, dtype=np.float32)
    wanted = round(Fraction(n_samples * 16000, sample_rate))
    assert resample(audio, sample_rate, 16000).shape[0] == wanted
    made = list(resample_blocks(iter([audio[:100], audio[100:]]), sample_rate, 16000))
    assert sum(block.shape[0] for block in made) == wanted == resampled_length(n_samples, sample_rate, 16000)


def test_resampling_keeps_the_pitch_and_blocks_do_not_show() -> None:
    whole = resample(A4, 44100, 16000)
    assert strongest_hz(whole, 16000) == pytest.approx(440, abs=2)
    blocks = np.array_split(A4, 7)
    np.testing.assert_allclose(np.concatenate(list(resample_blocks(blocks, 44100, 16000))), whole, atol=1e-4)
    np.testing.assert_array_equal(resample(np.stack([A4, A4]), 44100, 16000)[1], whole)


def test_written_wav_has_the_length_and_clips_instead_of_wrapping(tmp_path: Path) -> None:
    blocks = [np.full((2, 3), 0.5, dtype=np.float32), np.full((2, 4), 1.5, dtype=np.float32)]
    assert write_wav_blocks(tmp_path / "a.part", iter(blocks), 44100, 7) == 1.5
    info = soundfile.info(tmp_path / "a.part")
    assert (info.frames, info.channels, info.samplerate, info.format) == (7, 2, 44100, "WAV")
    assert soundfile.read(tmp_path / "a.part")[0].max() == pytest.approx(1, abs=1e-4)


def test_more_than_four_gigabytes_get_a_header_that_can_tell_it(tmp_path: Path) -> None:
    write_wav_blocks(tmp_path / "a.wav", [np.zeros((2, 3), dtype=np.float32)], 44100, n_samples=2**30)
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"


def test_write_audio_goes_by_the_suffix(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", A4, 44100)
    assert soundfile.info(tmp_path / "a.flac").format == "FLAC"
