"""The blend: the voice as it is, and the accompaniment 20 dB softer."""

import numpy as np

from hf_model.separator.voice_part import BACKING_SHARE, blend, unblend


def test_a_tenth_of_the_backing_is_added() -> None:
    voice, backing = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, -1.0]], np.float32)
    assert BACKING_SHARE == 0.1
    assert np.allclose(blend(voice, backing), [[1.0, -0.1]])
    assert blend(voice, backing).dtype == np.float32


def test_the_accompaniment_is_recovered() -> None:
    voice, backing = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    found = unblend(voice, blend(voice, backing))
    np.testing.assert_allclose(found, backing, atol=1e-5)
    assert found.dtype == np.float32
