"""Examples and batches: the segments and crops of a training step are a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from hf_model.parallel.distributed import rows_of_rank
from hf_model.shards.index import ShardIndex
from hf_model.training.fit_config import FitConfig
from hf_model.training.preemption import block_signals

Key = tuple[int, int]
"""Segment number, and the seed of its crop."""


class Segments(Dataset[dict[str, Tensor]]):
    """Crops of the segments of one split.

    Parameters
    ----------
    folder : path
        Output of the stft stage.
    split : str
        "train", "valid" or "test".
    columns : sequence of str
        "voice_stft", "piano_stft", "notes".
    crop_frames : int, optional
        Frames of a crop; whole segments when not given.
    corpora : sequence of str, optional
        Only these.
    repeats : mapping of str to int, optional
        Times that the segments of a corpus, or of a singer of one, are listed; 1 by default.
    """

    def __init__(
        self,
        folder: Path | str,
        split: str,
        columns: Sequence[str],
        crop_frames: int | None = None,
        corpora: Sequence[str] | None = None,
        repeats: Mapping[str, int] | None = None,
    ) -> None:
        self.index = ShardIndex(folder, split, columns, corpora)
        counts = _repeat_counts(self.index, repeats or {})
        self.numbers = np.repeat(np.arange(len(counts)), counts)
        self.crop_frames = min(crop_frames or self.index.segment_frames, self.index.segment_frames)

    def __len__(self) -> int:
        """Count the segments with their repeats."""
        return len(self.numbers)

    def __getitem__(self, key: Key) -> dict[str, Tensor]:
        """Read the crop of a key: spectra (frame, bin, 2), notes (note, 4), n_frames and tuning ().

        Spectra stay float16, as they are stored, until :func:`to_complex` converts them on the device.
        """
        number, seed = key
        item = self.index.packed(int(self.numbers[number]))
        last = max(0, int(item["n_frames"]) - self.crop_frames)
        start = int(np.random.default_rng(seed).integers(last + 1))
        crop: dict[str, Tensor] = {
            "n_frames": torch.tensor(min(int(item["n_frames"]) - start, self.crop_frames)),
            "tuning": torch.tensor(item["tuning"], dtype=torch.float32),
        }
        for name in ("voice_stft", "piano_stft"):
            if name in item:
                crop[name] = torch.from_numpy(item[name][start : start + self.crop_frames].copy())
        if "notes" in item:
            notes = item["notes"].copy()
            notes[:, :2] -= start / self.index.voice_config.frame_rate
            sounding = (notes[:, 1] > 0) & (notes[:, 0] < self.crop_frames / self.index.voice_config.frame_rate)
            crop["notes"] = torch.from_numpy(notes[sounding])
        return crop


def _repeat_counts(index: ShardIndex, repeats: Mapping[str, int]) -> list[int]:
    """Return the repeats of each segment: those of its singer, or else of its corpus."""
    corpora = [entry["corpus"] for entry in index.files for _ in range(entry["rows"])]
    counts = [repeats.get(corpus, 1) for corpus in corpora]
    if set(repeats) <= set(corpora):
        return counts
    return [repeats.get(singer, count) for singer, count in zip(index.singers(), counts, strict=True)]


def collate(crops: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack crops; notes (batch, note, 4) are padded to the longest list with rows of pitch 0."""
    batch = {name: _stack([crop[name] for crop in crops]) for name in crops[0] if name != "notes"}
    if "notes" in crops[0]:
        n_notes = max(1, *(len(crop["notes"]) for crop in crops))
        batch["notes"] = torch.zeros(len(crops), n_notes, 4)
        for row, crop in zip(batch["notes"], crops, strict=True):
            row[: len(crop["notes"])] = crop["notes"]
    return batch


def _stack(values: list[Tensor]) -> Tensor:
    """Stack tensors; in a worker process directly into shared memory, which saves a copy."""
    out = None
    if get_worker_info() is not None:
        size = sum(value.numel() for value in values)
        shared = values[0].untyped_storage()._new_shared(size * values[0].element_size())  # type: ignore[no-untyped-call]
        out = values[0].new(shared).resize_(len(values), *values[0].shape)
    return torch.stack(values, out=out)


def to_complex(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert the spectra of a batch to complex64 (batch, frame, bin): on the device, half the data is transferred."""
    return {
        name: torch.view_as_complex(value.float()) if value.dtype == torch.float16 else value
        for name, value in batch.items()
    }


class _SignalSafeLoader(DataLoader[Any]):
    """A loader whose worker processes do not receive the signals that stop a training."""

    def __iter__(self) -> Any:
        """Start the worker processes on first use, with signals blocked."""
        with block_signals():
            return super().__iter__()


class StepSampler(Sampler[list[Key]]):
    """The batches of training steps: independent of the step that a run starts from and of the number of processes.

    Every epoch has its own permutation of the segments; the DDP ranks divide each step's batch.

    Parameters
    ----------
    n_segments : int
    batch_size : int
        Examples a step, of all processes together.
    interval : int
        Steps between validations: the most that one call of ``iter`` covers.
    n_steps : int
        Steps of the whole training; its last interval may be shorter.
    seed : int
    next_step : callable
        Returns the next step at each call of ``iter``.
    rank, world_size : int
        This process, and the number of processes.
    """

    def __init__(
        self,
        n_segments: int,
        batch_size: int,
        interval: int,
        n_steps: int,
        seed: int,
        next_step: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if n_segments < 1:
            msg = "there are no training segments: the train split of the shards is empty"
            raise ValueError(msg)
        if batch_size % world_size:
            msg = (
                f"batch_size is {batch_size}, it must be a multiple of the number of processes, {world_size}:"
                " start as many as divide it (HUMMINGFACE_DEVICES where one command starts them all)"
            )
            raise ValueError(msg)
        self.n_segments, self.batch_size, self.seed = n_segments, batch_size, seed
        self.interval, self.n_steps, self.next_step = interval, n_steps, next_step
        self.rank, self.world_size = rank, world_size

    def _bounds(self) -> tuple[int, int]:
        """Return the first step of the interval of the next step, and the step after its last."""
        start = min(self.next_step(), self.n_steps - 1) // self.interval * self.interval
        return start, min(start + self.interval, self.n_steps)

    def __len__(self) -> int:
        """Count the steps of the whole interval, including those already done."""
        start, stop = self._bounds()
        return stop - start

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the batches from the next step to the end of its interval."""
        for step in range(self.next_step(), self._bounds()[1]):
            yield self.batch(step)

    def batch(self, step: int) -> list[Key]:
        """Return the keys of one step for this process."""
        first = step * self.batch_size
        rows = rows_of_rank(self.batch_size, self.rank, self.world_size)
        return [(self._segment(first + row), hash_seed(self.seed, first + row)) for row in rows]

    def _segment(self, slot: int) -> int:
        epoch, position = divmod(slot, self.n_segments)
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.n_segments)
        return int(self._order[position])


def train_loader(
    folder: Path | str,
    columns: Sequence[str],
    fit: FitConfig,
    workers: int,
    next_step: Callable[[], int],
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Any]:
    """Load the crops of the train split, from step ``next_step()`` to the end of its validation interval."""
    data = Segments(folder, "train", columns, fit.crop_frames, fit.corpora or None, fit.repeats)
    sampler = StepSampler(
        len(data), fit.batch_size, fit.validate_every, fit.steps, fit.seed, next_step, rank=rank, world_size=world_size
    )
    return _loader(data, sampler, workers)


def valid_loader(
    folder: Path | str, columns: Sequence[str], fit: FitConfig, workers: int, rank: int = 0, world_size: int = 1
) -> DataLoader[Any]:
    """Load ``fit.valid_segments`` whole segments, spread evenly over the valid split, always the same.

    Each process gets every ``world_size``-th batch, or all if there are fewer batches than processes.
    """
    data = Segments(folder, "valid", columns, None, fit.corpora or None)
    if len(data) == 0:
        msg = "there are no validation segments: the valid split of the shards is empty"
        raise ValueError(msg)
    chosen = np.linspace(0, len(data) - 1, min(len(data), fit.valid_segments)).round().astype(int).tolist()
    size = max(1, fit.batch_size // 2)
    batches = [[(at, 0) for at in chosen[first : first + size]] for first in range(0, len(chosen), size)]
    return _loader(data, batches[rank::world_size] if len(batches) >= world_size else batches, workers)


def _loader(data: Segments, batches: Any, workers: int) -> DataLoader[Any]:
    """Load batches in worker processes that live as long as the loader."""
    return (_SignalSafeLoader if workers else DataLoader)(
        data,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
    )


@contextmanager
def stop_workers(*loaders: DataLoader[Any]) -> Iterator[None]:
    """Stop the worker processes of loaders after the context: they block SIGTERM, and Python would wait at its exit."""
    try:
        yield
    finally:
        for iterator in (loader._iterator for loader in loaders):
            if iterator is not None:
                iterator._shutdown_workers()  # type: ignore[attr-defined]


def hash_seed(*numbers: int) -> int:
    """Mix numbers into one seed of 63 bits."""
    state: Any = np.random.SeedSequence(list(numbers)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
