"""Targets and losses of the transcriber."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn import functional as F  # noqa: N812

from hf_model.direct.network import FLOOR
from hf_model.parallel.distributed import over_processes
from hf_model.transcriber.network import Posteriors, TranscriberConfig

EDGE = 0.030
"""Seconds on either side of an onset or offset over which its target falls from 1 to 0."""
PITCH_SPREAD = 0.30
"""Semitones, standard deviation of the pitch target."""


class Targets(NamedTuple):
    """What each frame should say: onset, offset, voicing (batch, frame) in 0-1; pitch (batch, frame) in MIDI numbers.

    ``voicing`` is 1 inside a note; ``pitch`` is 0 outside.
    """

    onset: Tensor
    offset: Tensor
    voicing: Tensor
    pitch: Tensor


def frame_targets(notes: Tensor, n_frames: int, frame_rate: float) -> Targets:
    """Spread notes over frames.

    Parameters
    ----------
    notes : Tensor, shape (batch, note, 4)
        onset, offset (seconds), pitch (MIDI number), velocity; padding rows have pitch 0.
    n_frames : int
    frame_rate : float
        Frames a second.
    """
    times = torch.arange(n_frames, device=notes.device) / frame_rate
    real = (notes[:, :, 2] > 0)[:, :, None]
    onsets, offsets = notes[:, :, 0, None], notes[:, :, 1, None]

    def edge(at: Tensor) -> Tensor:
        return ((1 - (times - at).abs() / EDGE).clamp_min(0) * real).amax(1)

    inside = (times >= onsets) & (times < offsets) & real  # (batch, note, frame)
    pitch = (inside * notes[:, :, 2, None]).amax(1)
    return Targets(edge(onsets), edge(offsets), inside.any(1).float(), pitch)


def transcriber_loss(
    posteriors: Posteriors, notes: Tensor, n_frames: Tensor, config: TranscriberConfig, frame_rate: float
) -> dict[str, Tensor]:
    """Cross entropies of the four heads.

    Parameters
    ----------
    posteriors : Posteriors
        Logits.
    notes : Tensor, shape (batch, note, 4)
        As in :func:`frame_targets`.
    n_frames : Tensor, shape (batch,)
        Frames of each example that are real; the others do not count.

    Returns
    -------
    dict
        ``loss`` (the weighted sum) and its parts.
    """
    length = posteriors.onset.shape[1]
    targets = frame_targets(notes, length, frame_rate)
    valid = (torch.arange(length, device=notes.device)[None] < n_frames[:, None]).float()
    total = over_processes(valid.sum()).clamp_min(1)

    def mean(values: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        return (values * weight * valid).sum() / total

    def event(logits: Tensor, target: Tensor) -> Tensor:
        return mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), 1 + 4 * target)

    centres = config.lowest_pitch + config.pitch_step * torch.arange(config.n_pitch_bins, device=notes.device)
    spread = torch.softmax(-0.5 * ((centres - targets.pitch[:, :, None]) / PITCH_SPREAD) ** 2, dim=-1)
    pitch_entropy = -(spread * torch.log_softmax(posteriors.pitch, dim=-1)).sum(-1)
    parts = {
        "onset": event(posteriors.onset, targets.onset),
        "offset": event(posteriors.offset, targets.offset),
        "voicing": mean(F.binary_cross_entropy_with_logits(posteriors.voicing, targets.voicing, reduction="none")),
        "pitch": mean(pitch_entropy, targets.voicing),
    }
    loss = 3.0 * parts["onset"] + 3.0 * parts["offset"] + parts["voicing"] + 0.5 * parts["pitch"]
    return {"loss": loss, **parts}


def synthesizer_loss(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compare the synthesizer's spectra of ``batch["notes"]`` with ``batch["piano_stft"]``.

    Pitches are as sung where the batch says how the singer is tuned (``tuning``, semitones, (batch,)): the piano plays
    the nearest key in that tuning.

    Returns
    -------
    dict
        "loss", which is optimised, and its parts (:func:`hf_model.training.losses.spectral_loss`).
    """
    target, notes = batch["piano_stft"], batch["notes"]
    if "tuning" in batch:
        keys = torch.floor(notes[:, :, 2] - batch["tuning"][:, None] + 0.5) * (notes[:, :, 2] > 0)
        notes = torch.stack([notes[:, :, 0], notes[:, :, 1], keys, notes[:, :, 3]], dim=2)
    return spectral_loss(target, model(notes, target.shape[1]), batch["n_frames"])


def direct_loss(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compare the piano predicted from ``batch["voice_stft"]`` with ``batch["piano_stft"]``.

    With ``adversarial`` on, one optimizer trains both sides: the discriminator's hinge loss reaches the U-Net through a
    layer that reverses the gradient.
    """
    target = batch["piano_stft"]
    estimate = model(batch["voice_stft"])
    parts = spectral_loss(target, estimate, batch["n_frames"], phase_weight=0.0)
    del parts["complex"]
    if model.discriminator is not None:
        reverse = ReverseGradient.apply(estimate, model.config.adversarial)  # type: ignore[no-untyped-call]
        real, fake = (
            model.discriminator(torch.log10(magnitude + FLOOR)[:, None]) for magnitude in (target.abs(), reverse)
        )
        parts["adversarial"] = functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()
        parts["loss"] = parts["loss"] + parts["adversarial"]
    return parts


class ReverseGradient(torch.autograd.Function):
    """Identity forwards; backwards the gradient times ``-weight``.

    References
    ----------
    Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, weight: float) -> Tensor:
        """Pass the value on."""
        ctx.weight = weight
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Turn the gradient round."""
        return -ctx.weight * gradient, None


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
