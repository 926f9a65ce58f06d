"""Measure the time and memory of the program: whole processes, with imports, reading, transcribing and writing."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "hf_model.cli.main"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--model", help="weights to use instead of the ones that ship")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--make", nargs=4, metavar=("PATH", "MINUTES", "RATE", "CHANNELS"), help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> None:
    """Synthesize recordings, convert them, and print a table."""
    if options.make:
        write_singing(Path(options.make[0]), *map(int, options.make[1:]))
        return
    model = ["--model", options.model] if options.model else []
    python = sys.version.split()[0]
    print(f"{os.cpu_count()} cores, Python {python}; best and median of {options.repeats}, peak memory\n")
    for command in (["--version"], ["--help"], ["info"]):
        report(f"hummingface {' '.join(command)}", PROGRAM + command, options.repeats)
    with tempfile.TemporaryDirectory() as folder:
        minute, ten = Path(folder) / "minute.wav", Path(folder) / "ten.wav"
        # In processes of their own: their peak memory includes that of this one.
        for recording in ((minute, "1", "44100", "1"), (ten, "10", "48000", "2")):
            subprocess.run([sys.executable, "-m", "bench", "convert", "--make", *map(str, recording)], check=True)
        end = ["--out-dir", folder, "--overwrite", "--quiet"]
        for sound in ("sampled", "neural"):
            convert = [*PROGRAM, "convert", *end, *model, "--sound", sound]
            title = f"60 s of singing, {sound}"
            report(title, [*convert, str(minute)], options.repeats)
            report(f"{title}, --csv --plot", [*convert, str(minute), "--csv", "--plot"], options.repeats)
            report(f"10 minutes in stereo at 48 kHz, {sound}", [*convert, str(ten)], 1)


def write_singing(path: Path, minutes: int, sample_rate: int, n_channels: int) -> None:
    """Write composed phrases, another one each minute."""
    import numpy as np
    import soundfile

    from bench.cost import singing

    soundfile.write(path, np.tile(singing(minutes, sample_rate)[:, np.newaxis], n_channels), sample_rate)


def report(title: str, command: list[str], repeats: int) -> None:
    """Run a command repeatedly and print a row."""
    seconds, peak = [], 0.0
    for _ in range(repeats):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - started)
        peak = max(peak, usage.ru_maxrss / 1024)
        if status:
            print(f"{title:<48} failed")
            return
    print(f"{title:<48} {min(seconds):6.2f} s  {statistics.median(seconds):6.2f} s  {peak:6.0f} MB", flush=True)
