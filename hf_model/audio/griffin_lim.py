"""Phase reconstruction by the fast Griffin-Lim algorithm."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_model.audio.grid import PIANO_STFT
from hf_model.audio.stft import istft, stft


def griffin_lim(magnitude: Tensor, iterations: int, momentum: float = 0.99) -> Tensor:
    """Find audio (sample,) whose STFT magnitude is close to ``magnitude`` (frame, bin), with ``PIANO_STFT``.

    References
    ----------
    Perraudin et al., "A fast Griffin-Lim algorithm", WASPAA 2013. In the initial phase each bin advances at its
    centre frequency.
    """
    n_samples = (len(magnitude) - 1) * PIANO_STFT.hop_length
    frame = torch.arange(magnitude.shape[0], device=magnitude.device)[:, None]
    bin_ = torch.arange(magnitude.shape[1], device=magnitude.device)
    advance = 2.0 * torch.pi * frame * bin_ * PIANO_STFT.hop_length / PIANO_STFT.n_fft
    spectrum = torch.polar(magnitude, torch.remainder(advance, 2.0 * torch.pi))
    previous = torch.zeros_like(spectrum)
    for _ in range(iterations):
        rebuilt = stft(istft(spectrum, PIANO_STFT, n_samples), PIANO_STFT)
        accelerated = rebuilt + momentum * (rebuilt - previous)
        spectrum = magnitude * accelerated / accelerated.abs().clamp(min=1e-8)
        previous = rebuilt
    return istft(spectrum, PIANO_STFT, n_samples)
