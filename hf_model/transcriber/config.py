"""The shape of the transcriber: its pitch axis, its layers, and how far a frame depends on others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.config import check_range
from hf_model.transcriber.decoding import DecoderConfig, Evidence, PitchAxis
from hf_model.transcriber.spectra import LONG_WINDOW

FloatArray = NDArray[np.float32]

PLANE_DILATIONS = (1, 2, 4, 8)
"""Frames between the taps of the convolutions on the (frame, band) plane."""


@dataclass(frozen=True)
class TranscriberConfig:
    """Shape of the transcriber.

    Attributes
    ----------
    lowest_hz : float
        Centre of the first band.
    pitch_bands, bands_per_octave : int
        The pitch axis of the network: 124 bands of 50 cents reach from 40 Hz to 1,400 Hz.
    bins_per_band : int
        Pitch bins of the output per band: 3 are 16.7 cents wide.
    channels : int
        Channels on the (frame, band) plane.
    width : int
        Channels of the dilated convolutions in time.
    dilations : tuple of int
        Frames between the taps of the convolutions in time.
    """

    lowest_hz: float = 40.0
    pitch_bands: int = 124
    bands_per_octave: int = 24
    bins_per_band: int = 3
    channels: int = 16
    width: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 2, 4, 8)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("lowest_hz", self.lowest_hz, 20.0, 200.0)
        check_range("pitch_bands", self.pitch_bands, 12, 200)
        check_range("bins_per_band", self.bins_per_band, 1, 8)
        check_range("channels", self.channels, 4, 256)
        check_range("width", self.width, 8, 2048)
        check_range("dropout", self.dropout, 0.0, 0.9)

    @property
    def lowest_pitch(self) -> float:
        """MIDI number of the first pitch bin's centre."""
        return (
            69.0
            + 12.0 * math.log2(self.lowest_hz / 440.0)
            - 6.0 / self.bands_per_octave * (1.0 - 1.0 / self.bins_per_band)
        )

    @property
    def pitch_step(self) -> float:
        """Semitones per pitch bin."""
        return 12.0 / (self.bands_per_octave * self.bins_per_band)

    @property
    def n_pitch_bins(self) -> int:
        """Length of the pitch axis of the output."""
        return self.pitch_bands * self.bins_per_band

    @property
    def local_reach(self) -> int:
        """Frames on either side that the pitch and the local features depend on: window, stem and plane."""
        return -(-LONG_WINDOW.win_length // (2 * LONG_WINDOW.hop_length)) + 1 + sum(PLANE_DILATIONS)

    @property
    def context_reach(self) -> int:
        """Frames of local features on either side that onset, offset and voicing depend on."""
        return 1 + sum(self.dilations)

    def evidence(
        self, onset: FloatArray, offset: FloatArray, voicing: FloatArray, pitch: FloatArray, decoder: DecoderConfig
    ) -> Evidence:
        """Prepare decoding on the pitch axis of this model; see :class:`hf_model.transcriber.decoding.Evidence`."""
        axis = PitchAxis(self.lowest_pitch, self.pitch_step)
        return Evidence(onset, offset, voicing, pitch, axis, VOICE_STFT.frame_rate, decoder)
