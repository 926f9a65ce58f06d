"""Sample rate conversion of arrays and blocks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.audio.grid import resampled_length
from hf_model.audio.resampling import resample, resample_blocks
from tests.fakes import strongest_hz, tones

A4 = tones([69], 44100, duration=0.8)


@given(st.integers(1, 3000), st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000]))
def test_resampled_length_is_exact_for_arrays_and_blocks(n_samples: int, sample_rate: int) -> None:
    audio = np.ones(n_samples, dtype=np.float32)
    expected = round(Fraction(n_samples * 16000, sample_rate))
    assert resample(audio, sample_rate, 16000).shape[0] == expected
    blocks = list(resample_blocks(iter([audio[:100], audio[100:]]), sample_rate, 16000))
    assert sum(block.shape[0] for block in blocks) == expected == resampled_length(n_samples, sample_rate, 16000)


def test_resampling_keeps_the_pitch_also_in_blocks() -> None:
    whole = resample(A4, 44100, 16000)
    assert strongest_hz(whole, 16000) == pytest.approx(440, abs=2)
    blocks = np.array_split(A4, 7)
    np.testing.assert_allclose(np.concatenate(list(resample_blocks(blocks, 44100, 16000))), whole, atol=1e-4)
    np.testing.assert_array_equal(resample(np.stack([A4, A4]), 44100, 16000)[1], whole)
