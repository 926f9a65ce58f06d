"""Targets and losses of the transcriber."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from hf_model.placement import over_processes
from hf_model.transcriber import Posteriors, TranscriberConfig

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
