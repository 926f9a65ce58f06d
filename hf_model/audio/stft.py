"""The only time grid: the short-time Fourier transform, its inverse, and frames against seconds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hf_model.audio.grid import StftConfig, frame_count

BLOCK_SAMPLES = 2**17
"""Samples, in the windows of its frames, of a block of :func:`stft_in_blocks`."""


def stft(waveform: Tensor, config: StftConfig, *, center: bool = True) -> Tensor:
    """Transform audio to complex spectra.

    Parameters
    ----------
    waveform : Tensor, shape (..., sample)
        Audio in [-1, 1] at ``config.sample_rate``.
    center : bool
        Without it, the first frame begins with the first sample and the last one ends within the audio.

    Returns
    -------
    Tensor, complex, shape (..., frame, bin)
        Frame ``m`` is centred on ``m / frame_rate`` seconds; the signal is zero beyond its ends.
        There are ``1 + n_samples // hop_length`` frames.
    """
    lead = waveform.shape[:-1]
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
    return spectrum.transpose(-1, -2).reshape(*lead, -1, config.n_bins)


def stft_in_blocks(waveform: Tensor, config: StftConfig, block_samples: int = BLOCK_SAMPLES) -> Iterator[Tensor]:
    """Transform audio as :func:`stft` does, a few frames at a time; joined, they are the same.

    What is done with a block finds it in the processor's cache, and asks for no new memory: long audio takes a third
    of the time.

    Parameters
    ----------
    waveform, config
        As for :func:`stft`.
    block_samples : int
        Windows of as many frames as fit in so many samples, at least one, are taken at once.

    Yields
    ------
    Tensor, complex, shape (..., frame, bin)
    """
    half = config.n_fft // 2
    padded = nn.functional.pad(waveform, (half, half))
    n_frames, at_once = frame_count(waveform.shape[-1], config), max(1, block_samples // config.n_fft)
    for first in range(0, n_frames, at_once):
        last = min(first + at_once, n_frames) - 1
        part = padded[..., first * config.hop_length : last * config.hop_length + config.n_fft]
        yield stft(part, config, center=False)


def istft(spectrum: Tensor, config: StftConfig, n_samples: int) -> Tensor:
    """Transform complex spectra back to audio of an exact length.

    Parameters
    ----------
    spectrum : Tensor, complex, shape (..., frame, bin)
        As :func:`stft` returns.
    n_samples : int
        Samples wanted; at most ``hop_length`` beyond the last frame's centre.

    Returns
    -------
    Tensor, shape (..., n_samples)
        The least-squares signal whose spectrum is nearest to the given one.
    """
    lead = spectrum.shape[:-2]
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
    return waveform.reshape(*lead, n_samples)


def window(config: StftConfig, device: torch.device | str = "cpu") -> Tensor:
    """Periodic Hann window, shape (win_length,)."""
    return torch.hann_window(config.win_length, periodic=True, device=device)
