"""Print how fast shards are written and read, against a memory map: ``python bench/shards.py [--phrases N]``.

Seconds of audio for each second of waiting, and bytes for each second of audio. The memory map holds the very arrays of
the shards, uncompressed; both are read warm (from the system's file cache), segment by segment in shuffled order, up to
complex64 arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_model.alignment.align import AlignSettings, align
from hf_model.shards.index import ShardIndex
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards

SPECTRA = ("voice_stft", "piano_stft")


def main() -> None:
    """Sing phrases, write them both ways, read them both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phrases", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a phrase")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw, aligned, stft = folder / "raw", folder / "aligned", folder / "stft"
        for path in (raw, aligned, stft):
            path.mkdir()
        (raw / "corpora.json").write_text(json.dumps({"made": {}}), encoding="utf-8")
        settings = AlignSettings(made_phrases=options.phrases, made_seconds=options.seconds)
        spent, report = timed(lambda: align(raw, aligned, settings, options.workers))
        seconds = report["made"]["seconds"]
        print(f"{options.phrases} phrases, {seconds:.0f} s of audio, {options.workers} workers\n")
        print(f"align, start of the workers included: {seconds / spent:7.0f} s/s")
        writing = StftSettings(valid_fraction=0.0, test_fraction=0.0)
        spent, _ = timed(lambda: write_shards(aligned, stft, writing, options.workers))
        print(f"stft, the same:                       {seconds / spent:7.0f} s/s")
        size = sum(path.stat().st_size for path in stft.rglob("*.parquet"))
        compare(stft, folder, seconds, size)


def compare(stft: Path, folder: Path, seconds: float, size: int) -> None:
    """Print the table of shards against the memory map."""
    maps = memory_maps(stft, folder)
    flat = sum(array.nbytes for array in maps.values())
    print(f"size: shards {size / seconds:,.0f} bytes a second of audio, memory map {flat / seconds:,.0f}")
    print(f"      ratio {size / flat:.2f}\n")
    print(f"{'reading, shuffled':30} {'shards':>10} {'memory map':>10}   ratio")
    for columns in (SPECTRA[:1], SPECTRA):
        index = ShardIndex(stft, "train", columns)
        order = np.random.default_rng(0).permutation(len(index))

        def shards(index: ShardIndex = index, order: NDArray[np.int64] = order) -> None:
            for number in order:
                index[int(number)]

        def memory(columns: tuple[str, ...] = columns, order: NDArray[np.int64] = order) -> None:
            for number in order:
                for column in columns:
                    spectrum(maps[column][number])

        by_shards, by_map = (min(timed(read)[0] for _ in range(3)) for read in (shards, memory))
        name = " + ".join(columns)
        print(f"{name:30} {seconds / by_shards:6.0f} s/s {seconds / by_map:6.0f} s/s   {by_map / by_shards:.2f}")


def memory_maps(stft: Path, folder: Path) -> dict[str, Any]:
    """Copy the spectra of the shards into one flat file each: float16, (segment, frame, bin, 2)."""
    index = ShardIndex(stft, "train", SPECTRA)
    maps = {}
    for name in SPECTRA:
        shape = (len(index), *index[0][name].shape, 2)
        target = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float16, shape=shape)
        for number in range(len(index)):
            target[number] = index[number][name].view(np.float32).reshape(shape[1:])
        target.flush()
        maps[name] = np.load(folder / f"{name}.npy", mmap_mode="c")
    return maps


def spectrum(halves: NDArray[np.float16]) -> NDArray[np.complex64]:
    """Turn (frame, bin, 2) into complex numbers, as the shards do."""
    return np.asarray(torch.view_as_complex(torch.from_numpy(halves).to(torch.float32)).numpy())


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Do something; return the seconds that it took, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
