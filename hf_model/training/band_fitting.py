"""Fit the network of :mod:`hf_model.band.activations` and the chord templates to accompaniments with known beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.band.activations import KERNEL, N_FEATURES
from hf_model.band.beats import confidence_features, search_activations
from hf_model.band.chords import chord_features
from hf_model.band.decoding import BARS, RATE, decode
from hf_model.band.spectrum import FRAME_RATE, BandSpectra
from hf_model.training.music_fitting import fit_logistic

CHANNELS, LAYERS = 20, 9
CROP = 1500
"""Frames of a training example: 30 s."""

BATCH = 8
SPEEDS = (0.75, 1.3)
"""Range of the random change of tempo."""


@dataclass(frozen=True, eq=False)
class BeatExample:
    """Features of a recording (frame, feature), its beats in seconds, and which of them are downbeats."""

    features: NDArray[np.float32]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.bool_]


class BeatNetwork(nn.Module):
    """Residual dilated convolutions over time; the same as :func:`hf_model.band.activations.beat_activations`."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(N_FEATURES, CHANNELS)
        self.layers = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, KERNEL, padding="same", dilation=2**layer) for layer in range(LAYERS)
        )
        self.output = nn.Linear(CHANNELS, 3)
        self.dropout = nn.Dropout(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, frame, feature) to logits (batch, frame, 3)."""
        hidden = nn.functional.elu(self.input(self.dropout(features))).transpose(1, 2)
        for layer in self.layers:
            hidden = hidden + self.dropout(nn.functional.elu(layer(hidden)))
        logits: Tensor = self.output(hidden.transpose(1, 2))
        return logits


def fit_beat_network(
    examples: Sequence[BeatExample], n_steps: int, *, seed: int = 0, peak_rate: float = 4e-3
) -> BeatNetwork:
    """Train the network on random crops at random speeds."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = BeatNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, n_steps, pct_start=0.1)
    for _ in range(n_steps):
        crops = [_crop(examples[int(rng.integers(len(examples)))], rng) for _ in range(BATCH)]
        features = torch.from_numpy(np.stack([crop[0] for crop in crops]))
        targets = torch.from_numpy(np.stack([crop[1] for crop in crops]))
        loss = -(targets * torch.log_softmax(network(features), dim=-1)).sum(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def _crop(example: BeatExample, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut features (CROP, feature) at a random speed, with noise and another tone; and targets (CROP, 3)."""
    speed = float(np.exp(rng.uniform(*np.log(SPEEDS))))
    length = len(example.features)
    start = rng.uniform(-200, max(1.0, length - CROP * speed))
    at = start + np.arange(CROP) * speed
    low = np.clip(np.floor(at).astype(int), 0, length - 2)
    share = np.clip(at - low, 0, 1)[:, None]
    features = example.features[low] * (1 - share) + example.features[low + 1] * share
    features[(at < 0) | (at > length - 1)] = 0.0
    bands = np.exp(rng.normal(0, 0.25, 24)).repeat(2)
    features[:, :48] = features[:, :48] * bands + rng.normal(0, 0.5, 24).repeat(2)
    features[:, 48:96] *= bands * np.exp(rng.normal(0, 0.3))
    features += rng.normal(0, 0.08, features.shape)
    targets = np.zeros((CROP, 3), dtype=np.float32)
    frames = np.rint((example.beats * FRAME_RATE - start) / speed).astype(int)
    for distance, weight in ((-1, 0.4), (1, 0.4), (0, 1.0)):
        inside = (frames + distance >= 0) & (frames + distance < CROP)
        targets[frames[inside] + distance, 1 + example.downbeats[inside]] = weight
    targets[:, 0] = 1 - targets[:, 1:].max(axis=1)
    targets[:, 1:] *= ((1 - targets[:, 0]) / np.maximum(targets[:, 1:].sum(axis=1), 1e-6))[:, None]
    return features.astype(np.float32), targets


def fit_band_chords(
    songs: Sequence[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]],
) -> dict[str, NDArray[np.float32]]:
    """Fit templates, transitions and the probability of changes.

    Parameters
    ----------
    songs : sequence of (rolls, places, chords)
        From :func:`hf_model.band.chords.beat_chroma`; the place of each beat in the bar; its chord, twice the root and
        one more if minor, or -1.

    Returns
    -------
    dict
        The tables that :func:`hf_model.band.chords.recognize_chords` reads.
    """
    tables = [(chord_features(rolls, places), chords) for rolls, places, chords in songs]
    x = torch.from_numpy(np.concatenate([table[:, chords >= 0] for table, chords in tables], axis=1).astype(np.float32))
    y = torch.from_numpy(np.concatenate([chords[chords >= 0] for _, chords in tables]))
    templates = torch.zeros(x.shape[2], 2, requires_grad=True)
    optimizer = torch.optim.LBFGS([templates], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = (x @ templates).transpose(0, 1).reshape(-1, 24)
        value = nn.functional.cross_entropy(scores, y) + 1e-3 * templates[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    counts, change, seen = np.full((2, 12, 2), 0.5), np.ones(4), np.full(4, 4.0)
    for _, places, chords in songs:
        known = (chords[1:] >= 0) & (chords[:-1] >= 0)
        before, after, place = chords[:-1][known], chords[1:][known], np.minimum(places[1:][known], 3)
        np.add.at(seen, place, 1)
        differs = before != after
        np.add.at(change, place[differs], 1)
        before, after = before[differs], after[differs]
        np.add.at(counts, (before % 2, (after // 2 - before // 2) % 12, after % 2), 1)
    counts[[0, 1], 0, [0, 1]] = 1e-9
    shares = counts / counts.sum(axis=(1, 2), keepdims=True)
    found = {"templates": templates.detach().numpy(), "transition": np.log(shares), "change": change / seen}
    return {f"chords.{name}": table.astype(np.float32) for name, table in found.items()}


def fit_confidences(
    songs: Sequence[tuple[BandSpectra, NDArray[np.float64], NDArray[np.bool_]]],
    weights: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Fit logistic regressions of the confidences to songs that the network was not trained on.

    Parameters
    ----------
    songs : sequence of (spectra, beats, downbeats)
    weights : mapping
        Of the network.

    Returns
    -------
    ndarray, shape (2, 5)
        For tempo and bars, on :func:`hf_model.band.beats.confidence_features`.
    """
    examples: tuple[list[tuple[Any, float]], list[tuple[Any, float]]] = ([], [])
    for spectra, beats, downbeats in songs:
        activations = search_activations(spectra, weights)
        paths = [decode(activations, n) for n in BARS]
        best = max(paths, key=lambda path: path.score)
        features = confidence_features(best, paths, activations)
        found = best.frames / RATE
        tempo_is_right = abs(np.median(np.diff(found)) / np.median(np.diff(beats)) - 1) < 0.04
        bars = found[-best.first_place % best.beats_per_bar :: best.beats_per_bar]
        near = np.abs(bars[:, None] - beats[downbeats]).min(axis=0) < 0.1
        examples[0].append((features, float(tempo_is_right)))
        examples[1].append((features, float(tempo_is_right and near.mean() > 0.8)))
    return np.array([fit_logistic(kind) for kind in examples], dtype=np.float32)
