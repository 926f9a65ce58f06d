"""Print how many seconds of singing one core makes in a second: ``python bench/singer.py [n_songs]``.

Processor time of all threads is counted.
"""

from __future__ import annotations

import sys
import time

from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing


def main() -> None:
    """Sing and count."""
    n_songs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for sample_rate in (16000, 44100):
        sung, n_notes, started = 0.0, 0, time.process_time()
        for seed in range(n_songs):
            song = sing(compose(seed, 30.0), seed, SingerConfig(sample_rate))
            sung += len(song.audio) / sample_rate
            n_notes += len(song.notes)
        spent = time.process_time() - started
        print(f"{sample_rate} Hz: {sung:.0f} s of singing, {n_notes} notes, {sung / spent:.0f} x real time on one core")


if __name__ == "__main__":
    main()
