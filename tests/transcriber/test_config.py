"""The shape of the transcriber: ranges and the pitch axis."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.config import ConfigError, from_mapping
from hf_model.transcriber.config import TranscriberConfig


@pytest.mark.parametrize(("lowest_hz", "bins"), [(40.0, 3), (55.0, 1), (110.0, 4)])
def test_the_pitch_axis_is_centred_on_its_bands(lowest_hz: float, bins: int) -> None:
    config = TranscriberConfig(lowest_hz=lowest_hz, bins_per_band=bins)
    assert config.pitch_step == pytest.approx(0.5 / bins)
    assert config.n_pitch_bins == 124 * bins
    for band in (0, 1, 50):
        hz = lowest_hz * 2 ** (band / 24)
        centre = np.mean([config.lowest_pitch + config.pitch_step * (band * bins + k) for k in range(bins)])
        assert centre == pytest.approx(69 + 12 * np.log2(hz / 440))


def test_reach_of_both_steps() -> None:
    assert TranscriberConfig().local_reach == 7 + 1 + 15, "half of the long window, stem, planes"
    assert TranscriberConfig().context_reach == 1 + 78, "the first convolution in time, and the dilated ones"
    assert TranscriberConfig(dilations=(3,)).context_reach == 4


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"lowest_hz is 5\.0, allowed is 20\.0 to 200\.0"):
        TranscriberConfig(lowest_hz=5.0)
    with pytest.raises(ConfigError, match="dilations"):
        from_mapping(TranscriberConfig, {"dilations": "1 2"})
