"""The blend: the voice as it is, and the accompaniment 20 dB softer."""

import numpy as np

from hf_model.separator.voice_part import BACKING_SHARE, blend


def test_a_tenth_of_the_backing_is_added() -> None:
    voice, backing = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, -1.0]], np.float32)
    assert BACKING_SHARE == 0.1
    assert np.allclose(blend(voice, backing), [[1.0, -0.1]])
    assert blend(voice, backing).dtype == np.float32
