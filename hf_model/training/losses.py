"""Losses of the three models: notes spread over frames for the transcriber, spectra for synthesizer and direct."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hf_model.direct.network import FLOOR
from hf_model.parallel.distributed import all_reduce_mean
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import Posteriors

EDGE = 0.030
"""Seconds on either side of an onset or offset over which its target falls from 1 to 0."""

PITCH_SPREAD = 0.30
"""Semitones, standard deviation of the pitch target."""

RANGE_DB = 60.0
"""Bins count in the log-magnitude loss within this range of the target's peak, in the target or in the estimate."""

MIN_NORM = 0.9
"""Square root of a frame's energy, summed over the bins of ``PIANO_STFT``, at about -60 dB of full scale: the errors of
quieter crops are taken relative to this, or a crop without notes would outweigh all others."""


class Targets(NamedTuple):
    """Targets of a batch, each (batch, frame): onset, offset and voicing in 0-1, pitch in MIDI numbers.

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
    """Compute the cross entropies of the four heads.

    Parameters
    ----------
    posteriors : Posteriors
        Logits.
    notes : Tensor, shape (batch, note, 4)
        As in :func:`frame_targets`.
    n_frames : Tensor, shape (batch,)
        Valid frames of each example; the rest is padding and does not count.

    Returns
    -------
    dict of Tensor, shape ()
        "loss" (the weighted sum), "onset", "offset", "voicing" and "pitch".
    """
    length = posteriors.onset.shape[1]
    targets = frame_targets(notes, length, frame_rate)
    valid = (torch.arange(length, device=notes.device)[None] < n_frames[:, None]).float()
    total = all_reduce_mean(valid.sum()).clamp_min(1)

    def mean(values: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        return (values * weight * valid).sum() / total

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")

    centres = config.lowest_pitch + config.pitch_step * torch.arange(config.n_pitch_bins, device=notes.device)
    spread = torch.softmax(-0.5 * ((centres - targets.pitch[:, :, None]) / PITCH_SPREAD) ** 2, dim=-1)
    pitch_entropy = -(spread * torch.log_softmax(posteriors.pitch, dim=-1)).sum(-1)
    parts = {
        "onset": mean(cross_entropy(posteriors.onset, targets.onset), 1 + 4 * targets.onset),
        "offset": mean(cross_entropy(posteriors.offset, targets.offset), 1 + 4 * targets.offset),
        "voicing": mean(cross_entropy(posteriors.voicing, targets.voicing)),
        "pitch": mean(pitch_entropy, targets.voicing),
    }
    loss = 3.0 * parts["onset"] + 3.0 * parts["offset"] + parts["voicing"] + 0.5 * parts["pitch"]
    return {"loss": loss, **parts}


def spectral_loss(target: Tensor, estimate: Tensor, n_frames: Tensor, phase_weight: float = 1.0) -> dict[str, Tensor]:
    """Compare complex spectra.

    Parameters
    ----------
    target, estimate : Tensor, complex, shape (batch, frame, bin)
    n_frames : Tensor of int64, shape (batch,)
        Valid frames of each example; the rest is padding and does not count.
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
    expected, magnitude = target.abs(), safe_magnitude(estimate)
    norm = torch.sqrt(torch.maximum((expected**2).sum(dim=(1, 2)), MIN_NORM**2 * n_frames))
    floor = expected.amax(dim=(1, 2), keepdim=True).clamp(min=1e-3) * 10.0 ** (-RANGE_DB / 20.0)
    counted = ((torch.maximum(expected, magnitude.detach()) > floor) & valid).float()
    # A tenth of the floor is added, not a limit set: under a limit a silent estimate would have no gradient.
    ratio = torch.log10((magnitude + 0.1 * floor) / (expected + 0.1 * floor)).abs()
    parts = {
        "log_magnitude": 2.0 * (ratio * counted).sum() / all_reduce_mean(counted.sum()).clamp(min=1.0),
        "convergence": (torch.sqrt(((expected - magnitude) ** 2).sum(dim=(1, 2)) + 1e-8) / norm).mean(),
        "complex": (torch.sqrt((safe_magnitude(target - estimate) ** 2).sum(dim=(1, 2)) + 1e-8) / norm).mean(),
    }
    loss = parts["log_magnitude"] + parts["convergence"] + phase_weight * parts["complex"]
    return {"loss": loss, **parts}


def safe_magnitude(spectrum: Tensor) -> Tensor:
    """Compute magnitudes whose gradient at zero is zero instead of undefined."""
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-12)


def synthesizer_loss(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compare the synthesizer's spectra of ``batch["notes"]`` with ``batch["piano_stft"]``.

    With the singer's tuning in the batch (``tuning``, semitones, (batch,)), pitches are sung pitches and the model gets
    the nearest keys in that tuning: those that the piano plays.

    Returns
    -------
    dict of Tensor, shape ()
        As :func:`spectral_loss`.
    """
    target, notes = batch["piano_stft"], batch["notes"]
    if "tuning" in batch:
        keys = torch.floor(notes[:, :, 2] - batch["tuning"][:, None] + 0.5) * (notes[:, :, 2] > 0)
        notes = torch.stack([notes[:, :, 0], notes[:, :, 1], keys, notes[:, :, 3]], dim=2)
    return spectral_loss(target, model(notes, target.shape[1]), batch["n_frames"])


def direct_loss(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compare the piano predicted from ``batch["voice_stft"]`` with ``batch["piano_stft"]``.

    One optimizer trains U-Net and discriminator (where ``adversarial`` is on): the discriminator's hinge loss reaches
    the U-Net through :class:`ReverseGradient`.

    Returns
    -------
    dict of Tensor, shape ()
        As :func:`spectral_loss` without "complex"; with a discriminator also "adversarial".
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
        """Return the value unchanged."""
        ctx.weight = weight
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Reverse the gradient."""
        return -ctx.weight * gradient, None
