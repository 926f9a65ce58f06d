"""Training of the network that tells instruments apart, on mixtures of clips in the power domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import nn

from hf_model.instruments.classes import CLASSES, DECAYING
from hf_model.instruments.network import InstrumentNetwork
from hf_model.instruments.spectrogram import FRAME_RATE, N_MELS, log_scaled
from hf_model.training.instruments.clips import InstrumentClip

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

FRAMES = (100, 125, 150, 250)
"""Of a training example, drawn for each batch: 2 to 5 s."""

BATCH_SIZE = 48

SMOOTHING = 0.02

STATISTICS_BATCHES = 40

MIXED = (0.58, 0.21, 0.09, 0.07, 0.05)
"""Shares of examples with one, two and up to five clips."""

DARKEST, FASTEST = 36.0, 9.0
"""Most that softly played notes lose at the highest band, in dB, and that they die away faster, in dB a second."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast the network is trained."""

    n_steps: int = 3000
    peak_rate: float = 3e-3


def fit_instruments(
    clips: Sequence[InstrumentClip],
    schedule: Schedule,
    *,
    network: InstrumentNetwork | None = None,
    seed: int = 0,
    progress: Callable[[int, float], object] = lambda _step, _loss: None,
) -> InstrumentNetwork:
    """Train a network, by default a new one; all classes and, within a class, all groups are drawn equally often."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = network or InstrumentNetwork()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.peak_rate, weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.peak_rate, schedule.n_steps, pct_start=0.15)
    pools = _pools(clips)
    network.train()
    for step in range(schedule.n_steps):
        spectrograms, targets = make_batch(pools, rng, BATCH_SIZE)
        smooth = torch.from_numpy(targets) * (1.0 - 2.0 * SMOOTHING) + SMOOTHING
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16):
            logits = network(torch.from_numpy(spectrograms))
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), smooth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rates.step()
        progress(step, float(loss.detach()))
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.eval()


Pools = list[list[list[InstrumentClip]]]


def _pools(clips: Sequence[InstrumentClip]) -> Pools:
    """Sort clips by their classes, and within these by their group."""
    sorted_clips: dict[frozenset[str], dict[str, list[InstrumentClip]]] = {}
    for clip in clips:
        sorted_clips.setdefault(clip.names, {}).setdefault(clip.group, []).append(clip)
    return [list(groups.values()) for groups in sorted_clips.values()]


@torch.no_grad()
def blend(
    start: InstrumentNetwork, trained: InstrumentNetwork, share: float, clips: Sequence[InstrumentClip], seed: int = 0
) -> InstrumentNetwork:
    """Give ``trained`` this share of the weights of ``start``, and measure its batch statistics again.

    What fine-tuning learns and what it forgets lie along the same line; a point between keeps most of both.
    """
    before = start.state_dict()
    mixed = {
        name: share * before[name] + (1.0 - share) * value if value.dtype.is_floating_point else value
        for name, value in trained.state_dict().items()
    }
    trained.load_state_dict(mixed)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches
    pools, rng = _pools(clips), np.random.default_rng(seed)
    trained.train()
    for _ in range(STATISTICS_BATCHES):
        trained(torch.from_numpy(make_batch(pools, rng, BATCH_SIZE)[0]))
    return trained.eval()


def make_batch(pools: Pools, rng: Generator, size: int) -> Batch:
    """Mix clips with random levels, filters, rooms and noise: (clip, frame, band), and targets (clip, class)."""
    length = int(rng.choice(FRAMES))
    powers = np.zeros((size, length, N_MELS), dtype=np.float32)
    targets = np.zeros((size, len(CLASSES)), dtype=np.float32)
    for row in range(size):
        count = 1 + int(rng.choice(len(MIXED), p=MIXED))
        for number in range(count):
            groups = pools[int(rng.integers(len(pools)))]
            group = groups[int(rng.integers(len(groups)))]
            clip = group[int(rng.integers(len(group)))]
            level = 1.0 if number == 0 else 10.0 ** (rng.uniform(-12.0, 3.0) / 10.0)
            part = _crop(clip.power, length, rng)
            powers[row] += level * (_played_softly(part, rng) if clip.names & DECAYING else part)
            targets[row, [CLASSES.index(name) for name in clip.names]] = 1.0
    return log_scaled(augmented(powers, rng)), targets


def _crop(power: NDArray[np.float32], length: int, rng: Generator) -> NDArray[np.float32]:
    """Cut a part that sounds: of three, the loudest, or any that is less than 40 dB softer."""
    starts = rng.integers(0, len(power) - length + 1, 3)
    parts = [power[start : start + length] for start in starts]
    energies = [float(part.sum()) for part in parts]
    loudest = int(np.argmax(energies))
    return parts[0 if rng.random() < 0.4 and energies[0] > 1e-4 * energies[loudest] else loudest]


def _played_softly(power: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Weaken the high partials of power (frame, band), and let it die away faster, each for a part of the clips."""
    bands = np.linspace(0.0, 1.0, N_MELS)
    loss = bands * DARKEST * rng.random() * (rng.random() < 0.4)
    rates = (rng.random() + bands * rng.random()) * 0.5 * FASTEST * (rng.random() < 0.4)
    seconds = np.arange(len(power)) / FRAME_RATE
    softer = loss + seconds[:, None] * rates
    return power * (10.0 ** (-softer / 10.0)).astype(np.float32)


def augmented(powers: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Filter, reverberate, band-limit and add noise, each for a part of the clips (clip, frame, band)."""
    size = len(powers)
    knots = rng.normal(0.0, 5.0, (size, 6)) * (rng.random((size, 1)) < 0.8)
    at = np.linspace(0.0, 5.0, N_MELS)
    filters = np.stack([np.interp(at, np.arange(6), row) for row in knots]) + rng.normal(0.0, 1.0, (size, N_MELS))
    powers = powers * (10.0 ** (filters / 10.0))[:, None].astype(np.float32)
    for row in np.flatnonzero(rng.random(size) < 0.4):
        _reverberate(powers[row], float(rng.uniform(0.2, 1.2)), float(10.0 ** rng.uniform(-2.5, -0.8)))
    narrow = rng.random(size) < 0.15
    powers[narrow, :, int(N_MELS * 0.72) :] *= 1e-5
    powers[narrow, :, : int(N_MELS * 0.12)] *= 1e-4
    level = 10.0 ** rng.uniform(-9.0, -2.0, size) * powers.max(axis=(1, 2))
    colour = 10.0 ** (np.linspace(0.0, 1.0, N_MELS) * rng.uniform(-3.0, 1.0, (size, 1)))
    noise = rng.gamma(4.0, 0.25, powers.shape).astype(np.float32)
    return np.asarray(powers + noise * (level[:, None] * colour)[:, None].astype(np.float32), dtype=np.float32)


def _reverberate(power: NDArray[np.float32], seconds: float, share: float) -> None:
    """Add an exponential decay of 60 dB in so many seconds to power (frame, band), in place."""
    decay = 10.0 ** (-6.0 / (seconds * FRAME_RATE))
    tail = np.zeros(power.shape[1], dtype=np.float32)
    for frame in range(len(power)):
        dry = power[frame].copy()
        power[frame] += share * tail
        tail = decay * tail + dry
