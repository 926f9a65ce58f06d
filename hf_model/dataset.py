"""Examples and batches: which segments and crops a training step sees is a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from hf_model.shards import ShardIndex

Key = tuple[int, int]
"""Segment number, and the seed of its crop."""


class Segments(Dataset[dict[str, Tensor]]):
    """Crops of the segments of one split.

    Parameters
    ----------
    folder : path
        What the stft stage wrote.
    split : str
        "train", "valid" or "test".
    columns : sequence of str
        "voice_stft", "piano_stft", "notes".
    crop_frames : int, optional
        Frames of a crop; whole segments when not given.
    corpora : sequence of str, optional
        Only these.
    """

    def __init__(
        self,
        folder: Path | str,
        split: str,
        columns: Sequence[str],
        crop_frames: int | None = None,
        corpora: Sequence[str] | None = None,
    ) -> None:
        self.index = ShardIndex(folder, split, columns, corpora)
        self.crop_frames = min(crop_frames or self.index.segment_frames, self.index.segment_frames)

    def __len__(self) -> int:
        """Count the segments."""
        return len(self.index)

    def __getitem__(self, key: Key) -> dict[str, Tensor]:
        """Read the crop that ``key`` names: spectra (frame, bin), notes (note, 4) from the crop's start, n_frames ()."""
        number, seed = key
        item = self.index[number]
        spare = max(0, int(item["n_frames"]) - self.crop_frames)
        start = int(np.random.default_rng(seed).integers(spare + 1))
        crop: dict[str, Tensor] = {
            "n_frames": torch.tensor(min(int(item["n_frames"]) - start, self.crop_frames)),
        }
        for name in ("voice_stft", "piano_stft"):
            if name in item:
                crop[name] = torch.from_numpy(item[name][start : start + self.crop_frames])
        if "notes" in item:
            notes = item["notes"].copy()
            seconds = start / self.index.voice_config.frame_rate
            notes[:, :2] -= seconds
            sounding = (notes[:, 1] > 0) & (notes[:, 0] < self.crop_frames / self.index.voice_config.frame_rate)
            crop["notes"] = torch.from_numpy(notes[sounding])
        return crop


def collate(crops: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack crops; notes are padded to the longest list with rows of pitch 0: (batch, note, 4)."""
    batch: dict[str, Tensor] = {
        name: torch.stack([crop[name] for crop in crops]) for name in crops[0] if name != "notes"
    }
    if "notes" in crops[0]:
        most = max(1, *(len(crop["notes"]) for crop in crops))
        batch["notes"] = torch.zeros(len(crops), most, 4)
        for row, crop in zip(batch["notes"], crops, strict=True):
            row[: len(crop["notes"])] = crop["notes"]
    return batch


class StepSampler(Sampler[list[Key]]):
    """The batches of training steps: the same whichever step a run starts from, and on however many processes.

    Every pass over the data is a permutation of its own; processes (DDP ranks) share each step's batch out.

    Parameters
    ----------
    n_segments : int
    batch_size : int
        Examples a step, of all processes together.
    n_steps : int
        Steps that one call of ``iter`` covers when it starts at a multiple of it (a validation interval).
    seed : int
    rank, world_size : int
        This process among all.
    """

    def __init__(
        self, n_segments: int, batch_size: int, n_steps: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if n_segments < 1:
            msg = "there are no training segments: the train split of the shards is empty"
            raise ValueError(msg)
        if batch_size % world_size:
            msg = f"batch_size is {batch_size}, it must be a multiple of the {world_size} processes"
            raise ValueError(msg)
        self.n_segments, self.batch_size, self.n_steps, self.seed = n_segments, batch_size, n_steps, seed
        self.rank, self.world_size = rank, world_size
        self.next_step = 0

    def __len__(self) -> int:
        """Count the steps of a whole interval."""
        return self.n_steps

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the batches from ``next_step`` to the end of its interval."""
        stop = (self.next_step // self.n_steps + 1) * self.n_steps
        for step in range(self.next_step, stop):
            yield self.batch(step)

    def batch(self, step: int) -> list[Key]:
        """Name the crops of one step that belong to this process."""
        first = step * self.batch_size
        slots = range(first + self.rank, first + self.batch_size, self.world_size)
        return [(self._segment(slot), hash_seed(self.seed, slot)) for slot in slots]

    def _segment(self, slot: int) -> int:
        epoch, place = divmod(slot, self.n_segments)
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.n_segments)
        return int(self._order[place])


def hash_seed(*numbers: int) -> int:
    """Mix numbers into one seed of 63 bits."""
    state: Any = np.random.SeedSequence(list(numbers)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
