"""Assignment of segments to shards: the split by singer, and equal row counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from hf_model.alignment.manifest import Pair
from hf_model.audio.grid import PIANO_STFT, VOICE_STFT, frame_count, resampled_length
from hf_model.config import check_choice, check_range


@dataclass(frozen=True)
class StftSettings:
    """Settings of the stft stage.

    Attributes
    ----------
    segment_frames : int
        Frames in a segment, 100 per second.
    rows_per_group, rows_per_shard : int
        Rows that are read at once, and rows in a file; the second is a multiple of the first.
    valid_fraction, test_fraction : float
        Fractions of the singers.
    test_singers : tuple of str
        Singers that are in test regardless of their hash.
    piano : bool
        Whether to write the piano's spectra (two thirds of the bytes).
    on_error : str
        "stop" at the first bad recording, or "skip" it and list it in the manifest.
    compression_level : int
        Of Zstandard.
    """

    segment_frames: int = 512
    rows_per_group: int = 1
    rows_per_shard: int = 64
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    test_singers: tuple[str, ...] = ()
    piano: bool = True
    on_error: str = "stop"
    compression_level: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("segment_frames", self.segment_frames, 16, 65536)
        check_range("rows_per_group", self.rows_per_group, 1, 1024)
        check_range("rows_per_shard", self.rows_per_shard, 1, 65536)
        check_range("rows_per_shard % rows_per_group", self.rows_per_shard % self.rows_per_group, 0, 0)
        check_range("valid_fraction", self.valid_fraction, 0.0, 0.9)
        check_range("test_fraction", self.test_fraction, 0.0, 0.9)
        check_range("valid_fraction + test_fraction", self.valid_fraction + self.test_fraction, 0.0, 0.95)
        check_choice("on_error", self.on_error, ("stop", "skip"))
        check_range("compression_level", self.compression_level, 1, 19)


@dataclass(frozen=True)
class ShardJob:
    """One shard to write; each row is (pair, segment)."""

    aligned: Path
    folder: Path
    split: str
    corpus: str
    number: int
    rows: tuple[tuple[Pair, int], ...]
    settings: StftSettings

    @property
    def path(self) -> str:
        """Relative to the folder of shards."""
        return f"{self.split}/{self.corpus}-{self.number:05d}.parquet"


def assign_splits(
    pairs: Sequence[Pair], valid_fraction: float, test_fraction: float, test_singers: Sequence[str] = ()
) -> dict[str, str]:
    """Assign every singer to train, valid or test.

    The split depends on a hash of the singer's name only, so that adding recordings moves no singer; but with three or
    more singers, no requested split is empty. Singers of pairs with role "measure", and ``test_singers``, are always in
    test.
    """
    measured = {pair.singer for pair in pairs if pair.role == "measure" or pair.singer in test_singers}
    singers = sorted({pair.singer for pair in pairs} - measured, key=lambda singer: (_unit_hash(singer), singer))
    n_test = _share(singers, 0.0, test_fraction)
    n_valid = _share(singers, test_fraction, test_fraction + valid_fraction)
    names = ["test"] * n_test + ["valid"] * n_valid
    names += ["train"] * (len(singers) - len(names))
    return dict(zip(singers, names, strict=False)) | dict.fromkeys(measured, "test")


def _share(singers: Sequence[str], low: float, high: float) -> int:
    """Count the singers whose hash is in [low, high); at least one if there are three."""
    count = sum(low <= _unit_hash(singer) < high for singer in singers)
    return max(count, 1) if high > low and len(singers) >= 3 else count


def _unit_hash(name: str) -> float:
    """Hash a name to [0, 1), the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def plan(aligned: Path, folder: Path, usable: Sequence[Pair], settings: StftSettings) -> list[ShardJob]:
    """Assign segments to shards: those of a split and corpus in order, ``rows_per_shard`` to each but the last."""
    splits = assign_splits(usable, settings.valid_fraction, settings.test_fraction, settings.test_singers)
    ordered = sorted(usable, key=lambda pair: (splits[pair.singer], pair.corpus, pair.pair_id))
    jobs = []
    for (split, corpus), group in groupby(ordered, key=lambda pair: (splits[pair.singer], pair.corpus)):
        rows = [(pair, segment) for pair in group for segment in range(-(-n_frames(pair) // settings.segment_frames))]
        for number, start in enumerate(range(0, len(rows), settings.rows_per_shard)):
            part = tuple(rows[start : start + settings.rows_per_shard])
            jobs.append(ShardJob(aligned, folder, split, corpus, number, part, settings))
    return jobs


def n_frames(pair: Pair) -> int:
    """Count the frames that both the voice and the piano have."""
    voice = frame_count(resampled_length(pair.n_samples, pair.voice_sample_rate, VOICE_STFT.sample_rate), VOICE_STFT)
    return min(voice, frame_count(pair.piano_n_samples, PIANO_STFT))


def parameters(settings: StftSettings) -> dict[str, Any]:
    """Return what a reader of the shards needs."""
    return {
        "voice_stft": asdict(VOICE_STFT),
        "piano_stft": asdict(PIANO_STFT),
        "piano": settings.piano,
        "segment_frames": settings.segment_frames,
        "rows_per_group": settings.rows_per_group,
        "rows_per_shard": settings.rows_per_shard,
        "compression_level": settings.compression_level,
    }
