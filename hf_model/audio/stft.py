"""The short-time Fourier transform in torch, and its inverse: for training.

:mod:`hf_model.audio.spectrogram` has that of inference, in NumPy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hf_model.audio.grid import StftConfig


def stft(waveform: Tensor, config: StftConfig, *, center: bool = True) -> Tensor:
    """Transform audio to complex spectra.

    Parameters
    ----------
    waveform : Tensor, shape (..., sample)
        Audio in [-1, 1] at ``config.sample_rate``.
    center : bool
        If False, the first frame begins at the first sample and the last one ends within the audio.

    Returns
    -------
    Tensor, complex, shape (..., frame, bin)
        Frame ``m`` is centred on ``m / frame_rate`` seconds, with zero padding at the ends; there are
        ``1 + n_samples // hop_length`` frames.
    """
    leading = waveform.shape[:-1]
    spectrum = torch.stft(
        waveform.reshape(-1, waveform.shape[-1]),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        window=window(config, waveform.device),
        center=center,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrum.transpose(-1, -2).reshape(*leading, -1, config.n_bins)


def istft(spectrum: Tensor, config: StftConfig, n_samples: int) -> Tensor:
    """Transform complex spectra back to audio of an exact length.

    Parameters
    ----------
    spectrum : Tensor, complex, shape (..., frame, bin)
        As :func:`stft` returns.
    n_samples : int
        Length of the audio; at most ``hop_length`` beyond the last frame's centre.

    Returns
    -------
    Tensor, shape (..., n_samples)
        The signal whose spectrum is closest to the given one in the least-squares sense.
    """
    leading = spectrum.shape[:-2]
    needed = 1 + n_samples // config.hop_length
    frames = spectrum.reshape(-1, *spectrum.shape[-2:])
    if frames.shape[1] < needed:
        msg = f"{frames.shape[1]} frames are too few for {n_samples} samples; at least {needed} are needed"
        raise ValueError(msg)
    waveform = torch.istft(
        frames.transpose(-1, -2),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        window=window(config, spectrum.device),
        center=True,
        length=n_samples,
    )
    return waveform.reshape(*leading, n_samples)


def window(config: StftConfig, device: torch.device | str = "cpu") -> Tensor:
    """Periodic Hann window, shape (win_length,)."""
    return torch.hann_window(config.win_length, periodic=True, device=device)
