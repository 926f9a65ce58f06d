"""What the synthesizer and the direct baseline minimise: distances between spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_model.placement import over_processes

RANGE_DB = 60.0
"""Only what lies in the target or the estimate within this range of the target's peak is compared in decibels."""

QUIETEST = 0.9
"""Square root of a frame's energy, summed over the bins of ``PIANO_STFT``, at about -60 dB of full scale: the errors of
quieter crops are taken relative to this, or a crop without notes would outweigh all others."""


def spectral_loss(target: Tensor, estimate: Tensor, n_frames: Tensor, phase_weight: float = 1.0) -> dict[str, Tensor]:
    """Compare complex spectra.

    Parameters
    ----------
    target, estimate : Tensor, complex, shape (batch, frame, bin)
    n_frames : Tensor of int64, shape (batch,)
        Valid frames of each example; the rest does not count.
    phase_weight : float
        Weight of the complex term; 0 where the estimate has no phase.

    Returns
    -------
    dict of Tensor, shape ()
        "loss", the weighted sum of "log_magnitude" (dB / 10), "convergence" (relative error of magnitudes) and
        "complex" (relative error of complex values).

    References
    ----------
    Spectral convergence and log magnitude as in Yamamoto et al., "Parallel WaveGAN", ICASSP 2020.
    """
    target, estimate = target.to(torch.complex64), estimate.to(torch.complex64)
    valid = (torch.arange(target.shape[1], device=target.device) < n_frames[:, None])[..., None]
    target, estimate = target * valid, estimate * valid
    wanted, given = target.abs(), safe_magnitude(estimate)
    norm = torch.sqrt(torch.maximum((wanted**2).sum(dim=(1, 2)), QUIETEST**2 * n_frames))
    floor = wanted.amax(dim=(1, 2), keepdim=True).clamp(min=1e-3) * 10.0 ** (-RANGE_DB / 20.0)
    heard = ((torch.maximum(wanted, given.detach()) > floor) & valid).float()
    # A tenth of the floor is added, not a limit set: a limit has no gradient that could wake a silent estimate.
    ratio = torch.log10((given + 0.1 * floor) / (wanted + 0.1 * floor)).abs()
    parts = {
        "log_magnitude": 2.0 * (ratio * heard).sum() / over_processes(heard.sum()).clamp(min=1.0),
        "convergence": (torch.sqrt(((wanted - given) ** 2).sum(dim=(1, 2)) + 1e-8) / norm).mean(),
        "complex": (torch.sqrt((safe_magnitude(target - estimate) ** 2).sum(dim=(1, 2)) + 1e-8) / norm).mean(),
    }
    loss = parts["log_magnitude"] + parts["convergence"] + phase_weight * parts["complex"]
    return {"loss": loss, **parts}


def safe_magnitude(spectrum: Tensor) -> Tensor:
    """Magnitude whose gradient at zero is zero instead of undefined."""
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-12)
