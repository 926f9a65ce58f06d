"""Fit of the chord network and of the chain of chords to songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_model.music.chords import DILATIONS, N_CHORDS, N_FEATURES, ChordModel, estimate_chords, features
from hf_model.music.key import MODES, Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

Float = NDArray[np.float64]

WIDTH, DROPOUT = 48, 0.2
BATCH, STEPS, RATE = 32, 1500, 3e-3
CROP = (40, 96)
"""Beats of a training example."""

SMEARED, SMEAR = 0.5, 0.25
"""Share of the examples in which notes are late, and by how much of half a beat at most."""

CONFUSED = 0.12
"""Share of the examples whose key is mistaken for its relative."""

UNKNOWN = -1
"""Chord of a beat that has none of the 24."""


@dataclass(frozen=True, eq=False)
class ChordExample:
    """A song in 4/4 relative to its key.

    Attributes
    ----------
    rolls : ndarray, shape (2 * beat, 12)
        Share of each half beat in which each pitch class sounds.
    chords : ndarray, shape (beat,)
        Or ``UNKNOWN``.
    places : ndarray, shape (beat,)
        In the bar.
    mode : int
    """

    rolls: Float
    chords: NDArray[np.int64]
    places: NDArray[np.int64]
    mode: int


class _Network(nn.Module):
    """:func:`hf_model.music.chords.chord_scores` for training; batches (song, feature, beat)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(N_FEATURES, WIDTH, 1)
        self.wide = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in DILATIONS)
        self.mix = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 1) for _ in DILATIONS)
        self.last = nn.Conv1d(WIDTH, N_CHORDS, 1)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, described: Tensor) -> Tensor:
        hidden: Tensor = self.first(described)
        for wide, mix in zip(self.wide, self.mix, strict=True):
            hidden = hidden + mix(self.drop(torch.relu(wide(hidden))))
        scores: Tensor = self.last(torch.relu(self.drop(hidden)))
        return scores

    def tables(self) -> dict[str, Float]:
        """Give the weights as :func:`hf_model.music.chords.chord_scores` takes them."""
        found = {"input": self.first, "output": self.last}
        found |= {f"wide{k}": layer for k, layer in enumerate(self.wide)}  # type: ignore[misc]
        found |= {f"mix{k}": layer for k, layer in enumerate(self.mix)}  # type: ignore[misc]
        tables = {}
        for name, layer in found.items():
            weight = layer.weight.detach().numpy().astype(np.float64).transpose(2, 1, 0)  # (tap, input, output)
            tables[name] = weight if name.startswith("wide") else weight[0]
            assert layer.bias is not None
            tables[f"{name}_bias"] = layer.bias.detach().numpy().astype(np.float64)
        return tables


def train_network(songs: Sequence[ChordExample], steps: int = STEPS) -> dict[str, Float]:
    """Train the network on crops of songs; single-threaded, the same result each time.

    Returns
    -------
    dict
        The tables of :class:`hf_model.music.chords.ChordModel`, whose scores are log-probabilities up to a constant.
    """
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = _Network()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        inputs = np.zeros((BATCH, N_FEATURES, CROP[1]), dtype=np.float32)
        wanted = np.full((BATCH, CROP[1]), UNKNOWN)
        for row in range(BATCH):
            example = _crop(songs[int(rng.integers(len(songs)))], rng)
            described = features(example.rolls, example.mode)
            inputs[row, :, : len(described)] = described.T
            wanted[row, : len(described)] = example.chords
        loss = nn.functional.cross_entropy(
            network(torch.from_numpy(inputs)), torch.from_numpy(wanted), ignore_index=UNKNOWN
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.tables()


def _crop(song: ChordExample, rng: np.random.Generator) -> ChordExample:
    """Cut some beats, sometimes with late notes, and sometimes in the relative key."""
    n_beats = int(rng.integers(CROP[0], CROP[1] + 1))
    start = int(rng.integers(0, max(1, len(song.chords) - n_beats + 1)))
    part = slice(start, min(start + n_beats, len(song.chords)))
    rolls, chords = song.rolls[2 * part.start : 2 * part.stop].copy(), song.chords[part]
    if rng.random() < SMEARED:
        late = rng.uniform(0.0, SMEAR)
        rolls[1:] = (1 - late) * rolls[1:] + late * rolls[:-1]
    example = replace(song, rolls=rolls, chords=chords, places=song.places[part])
    return in_relative_key(example) if rng.random() < CONFUSED else example


def in_relative_key(song: ChordExample) -> ChordExample:
    """Write a song in A minor that was in C major, and the other way round."""
    shift = 3 if song.mode == 0 else -3
    chords = np.where(song.chords >= 0, (song.chords + 2 * shift) % N_CHORDS, song.chords)
    return replace(song, rolls=np.roll(song.rolls, shift, axis=1), chords=chords, mode=1 - song.mode)


def fit_chain(songs: Sequence[ChordExample]) -> tuple[Float, Float]:
    """Count the transitions (mode, chord, chord) and how often chords change on each beat (4,)."""
    transition = np.zeros((2, N_CHORDS, N_CHORDS))
    change, seen = np.ones(4), np.full(4, 2.0)
    for mode in range(2):
        counts = np.full((N_CHORDS, N_CHORDS), 0.3)
        for song in (song for song in songs if song.mode == mode):
            known = (song.chords[1:] >= 0) & (song.chords[:-1] >= 0)
            previous, current, place = song.chords[:-1][known], song.chords[1:][known], song.places[1:][known]
            np.add.at(seen, place, 1)
            np.add.at(change, place[previous != current], 1)
            np.add.at(counts, (previous[previous != current], current[previous != current]), 1)
        np.fill_diagonal(counts, 1e-9)
        transition[mode] = np.log(counts / counts.sum(axis=1, keepdims=True))
    return transition, change / seen


def fit_chords(
    songs: Sequence[ChordExample], network: dict[str, Float], sharpness: float, fairness: float
) -> ChordModel:
    """Combine a trained network with the chain, with a given weight of its scores and of rare chords."""
    chords = np.concatenate([song.chords for song in songs])
    share = np.bincount(chords[chords >= 0], minlength=N_CHORDS) + 5.0
    bias = sharpness * network["output_bias"] - fairness * np.log(share / share.sum())
    weighted = {**network, "output": sharpness * network["output"], "output_bias": bias}
    return ChordModel(weighted, *fit_chain(songs))


def share_of_right_chords(model: ChordModel, songs: Sequence[ChordExample]) -> float:
    """Give the share of beats with the right chord."""
    right = total = 0
    for song in songs:
        notes, tempo = _on_beats(song)
        found = np.full(len(song.chords), -2)
        for chord in estimate_chords(notes, Key(0, MODES[song.mode]), tempo, model):
            found[round(chord.onset) : round(chord.offset)] = 2 * chord.root + chord.is_minor
        known = (song.chords >= 0) & (found >= -1)
        right += int(np.sum((found == song.chords)[known]))
        total += int(known.sum())
    return right / total


def _on_beats(song: ChordExample) -> tuple[list[Note], Tempo]:
    """Give a song as notes of at most half a beat, and its beats, a second each."""
    notes = []
    for half, roll in enumerate(song.rolls):
        now = half / 2
        for pitch in np.flatnonzero(roll > 0):
            until = min(now + float(roll[pitch]) / 2, half / 2 + 0.5)
            if until > now:
                notes.append(Note(now, until, 60.0 + pitch))
            now = until
    downbeat = int(np.argmax(song.places == 0))
    return notes, Tempo(60.0, 1.0, tuple(map(float, range(len(song.chords) + 1))), downbeat, (4, 4), 1.0)
