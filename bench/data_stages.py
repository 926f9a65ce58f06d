"""Print how align and stft scale over workers, and what they will cost: ``python bench/data_stages.py [--write]``.

The workers are Dask's, one against two, in turns, all started before the clock. The cost of an hour of audio is fitted
to three sizes, in the worker's CPU time, and drawn out to 10,000 hours of recordings of the same length, with the 95 %
interval of the fit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from hf_model.alignment.align import AlignSettings, align
from hf_model.parallel.dask_cluster import Crew
from hf_model.parallel.workers import Workers, run_all
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards

REPORT = Path("reports/data_stages.md")
SECONDS = 10.0  # of a recording
FAR = 10_000.0  # hours
STAGES = ("align", "stft")


def main() -> None:
    """Measure, print, and perhaps write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--phrases", type=int, nargs=3, default=[15, 30, 60], help="three sizes, growing; ten seconds each"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"also into {REPORT}")
    options = parser.parse_args()
    started: dict[int, float] = {}
    times: dict[tuple[int, int], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        crews = {}
        for count in (1, 2):
            crews[count], started[count] = stack.enter_context(opened(count))
        for _ in range(options.repeats):
            for phrases in options.phrases:
                times.setdefault((1, phrases), []).append(measure(phrases, crews[1]))
            times.setdefault((2, phrases), []).append(measure(phrases, crews[2]))
    costs = [cost for (count, _), found in times.items() if count == 1 for cost in found]
    text = "\n".join([*scaling(started, times, max(options.phrases)), "", *model(costs)]) + "\n"
    print(text)
    if options.write:
        about = " ".join(__doc__.splitlines()[2:])
        command = "`python bench/data_stages.py --write`"
        REPORT.write_text(f"# What the data stages cost\n\n{about}\n\n{command}\n\n{text}", encoding="utf-8")


@contextmanager
def opened(count: int) -> Iterator[tuple[Crew, float]]:
    """Start workers; also the seconds that this takes, with the imports of align."""
    began = time.perf_counter()
    with Crew(count) as crew:
        list(run_all(ready, range(4 * count), workers=crew))
        yield crew, time.perf_counter() - began


def ready(_: int) -> int:
    """Do nothing, on a worker."""
    return os.getpid()


def cpu(_: int) -> float:
    """Give the CPU seconds of a worker so far."""
    return time.process_time()


def measure(phrases: int, crew: Workers) -> dict[str, float]:
    """Run both stages once: hours of audio, seconds, bytes and files of each stage."""
    with tempfile.TemporaryDirectory() as name:
        raw, stft = Path(name, "raw"), Path(name, "stft")
        raw.mkdir()
        stft.mkdir()
        (raw / "corpora.json").write_text(json.dumps({"made": {}}), encoding="utf-8")
        before = next(run_all(cpu, [0], workers=crew))
        began = time.perf_counter()
        report = align(raw, Path(name, "align"), AlignSettings(made_phrases=phrases, made_seconds=SECONDS), crew)
        between, halfway = time.perf_counter(), next(run_all(cpu, [0], workers=crew))
        # many small shards, so that two workers share even a small corpus evenly
        write_shards(Path(name, "align"), stft, StftSettings(rows_per_shard=8), crew)
        cost = {
            "hours": report["made"]["seconds"] / 3600,
            "align wall": between - began,
            "stft wall": time.perf_counter() - between,
            "align CPU seconds": halfway - before,
            "stft CPU seconds": next(run_all(cpu, [0], workers=crew)) - halfway,
        }
        for stage in STAGES:
            files = [path.stat().st_size for path in Path(name, stage).rglob("*") if path.is_file()]
            cost |= {f"{stage} bytes": sum(files), f"{stage} files": len(files)}
        rows = StftSettings().rows_per_shard * StftSettings().segment_frames / 100 / 3600
        cost["stft files"] = cost["hours"] / rows  # of the size that is the default
        return cost


def scaling(started: dict[int, float], times: dict[tuple[int, int], list[dict[str, float]]], phrases: int) -> list[str]:
    """Tabulate the best times of one and two workers."""
    minutes = times[1, phrases][0]["hours"] * 60
    lines = [
        f"One and two workers, {minutes:.1f} minutes of audio in {phrases} recordings, best of {len(times[1, phrases])}"
        f" ({platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}):",
        "",
        "| stage | one worker | two workers | speed-up |",
        "|---|---|---|---|",
    ]
    for stage in (*STAGES, "both"):
        names = [f"{one} wall" for one in STAGES if stage in (one, "both")]
        best = [min(sum(cost[name] for name in names) for cost in times[count, phrases]) for count in (1, 2)]
        lines.append(f"| {stage} | {best[0]:.2f} s | {best[1]:.2f} s | {best[0] / best[1]:.2f} |")
    return [*lines, "", f"Starting the workers: {started[1]:.1f} s for one, {started[2]:.1f} s for two."]


def model(costs: list[dict[str, float]]) -> list[str]:
    """Fit each cost to the hours of audio, and draw it out."""
    sizes = ", ".join(f"{hours * 60:.1f}" for hours in sorted({cost["hours"] for cost in costs}))
    lines = [
        f"Cost against hours of audio, one worker (fit over {sizes} minutes, {len(costs)} runs; recordings of "
        f"{SECONDS:.0f} s):",
        "",
        f"| what | fixed | an hour | {FAR:,.0f} hours | 95 % interval |",
        "|---|---|---|---|---|",
    ]
    units = {"CPU seconds": ("core-hours", 3600.0), "bytes": ("TB", 1e12), "files": ("million files", 1e6)}
    for stage in STAGES:
        for what, (unit, scale) in units.items():
            values = np.array([cost[f"{stage} {what}"] for cost in costs])
            fixed, slope, far, half = fit(np.array([cost["hours"] for cost in costs]), values)
            lines.append(
                f"| {stage}, {what} | {fixed:,.4g} | {slope:,.4g} | {far / scale:,.3g} {unit} | "
                f"{(far - half) / scale:,.3g} to {(far + half) / scale:,.3g} |"
            )
    rows = StftSettings().rows_per_shard
    return [
        *lines,
        "",
        f"Files of stft are counted for shards of {rows} rows. Each file is an inode. `align` writes two files a "
        "recording: 10,000 hours in pieces of ten seconds exceed the 5,000,000 files that a scratch disk often allows; "
        "longer recordings, or shards made in parts, do not.",
    ]


def fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Fit a line; also its value far away, and half the width of the 95 % interval of that value."""
    design = np.stack([np.ones_like(x), x], axis=1)
    solution, *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = max(len(x) - 2, 1)
    variance = float(((y - design @ solution) ** 2).sum()) / freedom
    point = np.array([1.0, FAR])
    spread = float(point @ np.linalg.inv(design.T @ design) @ point) * variance
    return float(solution[0]), float(solution[1]), float(point @ solution), student.ppf(0.975, freedom) * spread**0.5


if __name__ == "__main__":
    main()
