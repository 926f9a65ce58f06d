"""Measure how many seconds of singing are synthesized per second of CPU, all threads counted."""

from __future__ import annotations

import argparse
import time

from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--songs", type=int, default=20)


def run(options: argparse.Namespace) -> None:
    """Synthesize songs at two sample rates and print the speed."""
    for sample_rate in (16000, 44100):
        total, n_notes, started = 0.0, 0, time.process_time()
        for seed in range(options.songs):
            song = sing(compose(seed, 30.0), seed, SingerConfig(sample_rate))
            total += len(song.audio) / sample_rate
            n_notes += len(song.notes)
        speed = total / (time.process_time() - started)
        print(f"{sample_rate} Hz: {total:.0f} s of singing, {n_notes} notes, {speed:.0f} x real time on one core")
