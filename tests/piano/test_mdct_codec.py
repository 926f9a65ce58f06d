"""The audio codec of the recorded piano notes: transforms."""

import numpy as np

from hf_model.piano.mdct_codec import HOP, dct4, imdct, mdct


def test_dct4_equals_its_definition_and_is_its_own_inverse() -> None:
    values = np.random.default_rng(0).standard_normal((3, HOP)).astype(np.float32)
    centres = np.arange(HOP) + 0.5
    definition = np.sqrt(2 / HOP) * values @ np.cos(np.pi / HOP * np.outer(centres, centres))
    np.testing.assert_allclose(dct4(values), definition, atol=1e-5)
    np.testing.assert_allclose(dct4(dct4(values)), values, atol=1e-5)


def test_imdct_reconstructs_the_audio() -> None:
    audio = np.random.default_rng(1).uniform(-1, 1, 5 * HOP + 7).astype(np.float32)
    np.testing.assert_allclose(imdct(mdct(audio))[: len(audio)], audio, atol=1e-5)
