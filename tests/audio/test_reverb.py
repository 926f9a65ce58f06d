import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.audio.reverb import ROOM_SECONDS, WET, Reverb, room_response

RATE = 44100


@given(size=st.integers(20000, 90000))
@settings(max_examples=8)
def test_blocks_give_the_same_as_the_whole(size: int) -> None:
    audio = np.random.default_rng(0).standard_normal((2, 100000)).astype(np.float32)
    whole = Reverb(0.5, 2, RATE).add(audio)
    reverb = Reverb(0.5, 2, RATE)
    parts = [reverb.add(audio[:, first : first + size]) for first in range(0, 100000, size)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_reverb_adds_a_convolution_to_the_dry_sound() -> None:
    click = np.zeros((2, RATE), dtype=np.float32)
    click[:, 100] = 1
    wet = Reverb(0.6, 2, RATE).add(click)
    response = room_response(2, RATE)
    expected = click.astype(float)
    expected[:, 100 : 100 + response.shape[1]] += 0.6 * WET * response
    np.testing.assert_allclose(wet, expected, atol=1e-6)


def test_impulse_response_is_short_and_decorrelated() -> None:
    response = room_response(2, RATE)
    np.testing.assert_allclose(np.square(response).sum(axis=1), 1.0)
    assert abs(float((response[0] * response[1]).sum())) < 0.4
    late = np.square(response[:, round(0.5 * ROOM_SECONDS * RATE) :]).sum() / 2
    assert late < 0.01
    assert not response[:, : round(0.01 * RATE)].any() or np.abs(response[:, : round(0.01 * RATE)]).max() < 0.05


def test_silence_stays_silent() -> None:
    assert not Reverb(1.0, 1, RATE).add(np.zeros((1, 5000), dtype=np.float32)).any()
    assert Reverb(1.0, 2, RATE).add(np.zeros((2, 0), dtype=np.float32)).shape == (2, 0)


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_and_stereo(channels: int) -> None:
    assert Reverb(0.3, channels, RATE).add(np.ones((channels, 10), dtype=np.float32)).shape == (channels, 10)
