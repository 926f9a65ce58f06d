"""Measure what the data stages cost, and how they scale from one worker to two.

The workers are Dask's, one against two, in turn, all started before the clock. The cost of an hour of audio is fitted
to three sizes, in the CPU time of the worker, and extrapolated to 10,000 hours of recordings of the same length, with
the 95 % interval of the fit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from hf_model.alignment.align import AlignSettings, align
from hf_model.evaluation.report import markdown_table
from hf_model.parallel.dask_cluster import DaskWorkers
from hf_model.parallel.workers import Workers, run_all
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards

REPORT = Path("reports/data_stages.md")
SECONDS = 10.0
"""Of a recording."""

TARGET_HOURS = 10_000.0
STAGES = ("align", "stft")
Cost = Mapping[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sizes = "three sizes, growing; phrases of ten seconds"
    parser.add_argument("--phrases", type=int, nargs=3, default=[15, 30, 60], help=sizes)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"also into {REPORT}")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and with --write write the report."""
    started: dict[int, float] = {}
    times: dict[tuple[int, int], list[Cost]] = {}
    with ExitStack() as stack:
        pools = {}
        for count in (1, 2):
            pools[count], started[count] = stack.enter_context(opened(count))
        for _ in range(options.repeats):
            for phrases in options.phrases:
                times.setdefault((1, phrases), []).append(measure(phrases, pools[1]))
            times.setdefault((2, phrases), []).append(measure(phrases, pools[2]))
    costs = [cost for (count, _), found in times.items() if count == 1 for cost in found]
    text = "\n".join([*scaling(started, times, max(options.phrases)), "", *extrapolation(costs)]) + "\n"
    print(text)
    if options.write:
        about, command = " ".join((__doc__ or "").splitlines()[2:]), "`python -m bench stages --write`"
        REPORT.write_text(f"# What the data stages cost\n\n{about}\n\n{command}\n\n{text}", encoding="utf-8")


@contextmanager
def opened(count: int) -> Iterator[tuple[DaskWorkers, float]]:
    """Start workers; also the seconds that this takes, with the imports of align."""
    began = time.perf_counter()
    with DaskWorkers(count) as workers:
        list(run_all(cpu_seconds, range(4 * count), workers=workers))
        yield workers, time.perf_counter() - began


def cpu_seconds(_: int) -> float:
    """Give the CPU seconds of a worker so far."""
    return time.process_time()


def measure(phrases: int, workers: Workers) -> dict[str, float]:
    """Run both stages once: hours of audio, seconds, bytes and files of each stage."""
    with tempfile.TemporaryDirectory() as name:
        raw, stft = Path(name, "raw"), Path(name, "stft")
        raw.mkdir()
        stft.mkdir()
        (raw / "corpora.json").write_text(json.dumps({"made": {}}), encoding="utf-8")
        before = next(run_all(cpu_seconds, [0], workers=workers))
        began = time.perf_counter()
        report = align(raw, Path(name, "align"), AlignSettings(made_phrases=phrases, made_seconds=SECONDS), workers)
        between, halfway = time.perf_counter(), next(run_all(cpu_seconds, [0], workers=workers))
        # many small shards, so that two workers share even a small corpus evenly
        write_shards(Path(name, "align"), stft, StftSettings(rows_per_shard=8), workers)
        cost = {
            "hours": report["made"]["seconds"] / 3600,
            "align wall": between - began,
            "stft wall": time.perf_counter() - between,
            "align CPU seconds": halfway - before,
            "stft CPU seconds": next(run_all(cpu_seconds, [0], workers=workers)) - halfway,
        }
        for stage in STAGES:
            files = [path.stat().st_size for path in Path(name, stage).rglob("*") if path.is_file()]
            cost |= {f"{stage} bytes": sum(files), f"{stage} files": len(files)}
        rows = StftSettings().rows_per_shard * StftSettings().segment_frames / 100 / 3600
        cost["stft files"] = cost["hours"] / rows  # of the default size
        return cost


def scaling(started: Mapping[int, float], times: Mapping[tuple[int, int], Sequence[Cost]], phrases: int) -> list[str]:
    """Tabulate the best times of one and two workers."""
    minutes, cores = times[1, phrases][0]["hours"] * 60, len(os.sched_getaffinity(0))
    rows = []
    for stage in (*STAGES, "both"):
        names = [f"{one} wall" for one in STAGES if stage in (one, "both")]
        best = [min(sum(cost[name] for name in names) for cost in times[count, phrases]) for count in (1, 2)]
        rows.append([stage, f"{best[0]:.2f} s", f"{best[1]:.2f} s", f"{best[0] / best[1]:.2f}"])
    return [
        f"One and two workers, {minutes:.1f} minutes of audio in {phrases} recordings, best of "
        f"{len(times[1, phrases])} ({platform.machine()}, {cores} cores, load {os.getloadavg()[0]:.1f}):",
        "",
        *markdown_table("stage | one worker | two workers | speed-up", rows),
        "",
        f"Starting the workers: {started[1]:.1f} s for one, {started[2]:.1f} s for two.",
    ]


def extrapolation(costs: Sequence[Cost]) -> list[str]:
    """Fit each cost to the hours of audio, and extrapolate it."""
    hours = np.array([cost["hours"] for cost in costs])
    sizes = ", ".join(f"{60 * one:.1f}" for one in sorted(set(hours.tolist())))
    units = {"CPU seconds": ("core-hours", 3600.0), "bytes": ("TB", 1e12), "files": ("million files", 1e6)}
    rows = []
    for stage in STAGES:
        for what, (unit, scale) in units.items():
            fixed, slope, far, half = fit_line(hours, np.array([cost[f"{stage} {what}"] for cost in costs]))
            interval = f"{(far - half) / scale:,.3g} to {(far + half) / scale:,.3g}"
            cells = [f"{fixed:,.4g}", f"{slope:,.4g}", f"{far / scale:,.3g} {unit}", interval]
            rows.append([f"{stage}, {what}", *cells])
    return [
        f"Cost against hours of audio, one worker (fit over {sizes} minutes, {len(costs)} runs; recordings of "
        f"{SECONDS:.0f} s):",
        "",
        *markdown_table(f"what | fixed | an hour | {TARGET_HOURS:,.0f} hours | 95 % interval", rows),
        "",
        f"Files of stft are counted for shards of {StftSettings().rows_per_shard} rows. Each file is an inode. `align` "
        "writes two files a recording: 10,000 hours in recordings of ten seconds exceed the 5,000,000 files that a "
        "scratch disk often allows; longer recordings, or shards made in parts, do not.",
    ]


def fit_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Fit a line: constant, slope, its value at TARGET_HOURS, and half the width of the 95 % interval there."""
    design = np.stack([np.ones_like(x), x], axis=1)
    solution, *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = max(len(x) - 2, 1)
    variance = float(((y - design @ solution) ** 2).sum()) / freedom
    point = np.array([1.0, TARGET_HOURS])
    spread = float(point @ np.linalg.inv(design.T @ design) @ point) * variance
    half = float(student.ppf(0.975, freedom)) * spread**0.5
    return float(solution[0]), float(solution[1]), float(point @ solution), half
