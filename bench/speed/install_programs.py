"""The programs that ``python -m bench install`` runs in processes of their own."""

from __future__ import annotations

HEAVY = ("torch", "scipy", "matplotlib")

VERSION = "import platform; print(platform.python_version())"

IMPORTED = f"""
import sys
from hf_model.cli.main import main
recording, folder = sys.argv[1:]
assert main(["convert", recording, "--out-dir", folder, "--overwrite", "--quiet"]) == 0
print(*sorted({set(HEAVY)!r} & set(sys.modules)))
"""
"""Prints the heavy libraries that a conversion imports."""

PEAK_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the peak memory of a command in bytes; small itself, because a child's peak includes that of its parent."""

SWIFT_F0 = """
import sys
from pathlib import Path
import soundfile
from swift_f0 import SwiftF0, segment_notes
detector = SwiftF0(threads=int(sys.argv[2]))
for path in sorted(Path(sys.argv[1]).iterdir()):
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    segment_notes(detector.detect(audio.mean(axis=1), rate))
"""
"""Transcribes the recordings of a folder."""

MAKE_SINGING = """
import sys
from pathlib import Path
import numpy as np
from bench.speed.cost import singing
from hf_model.audio.io import write_audio
voice = singing(6, 44100)
write_audio(Path(sys.argv[1]), np.resize(voice, 600 * 44100), 44100)
if len(sys.argv) > 2:
    folder, count, minutes = Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    n_samples = round(minutes * 60 * 44100 / count)
    for number in range(count):
        write_audio(folder / f"{number:02}.flac", np.resize(np.roll(voice, -number * n_samples), n_samples), 44100)
"""
"""Writes ten minutes of synthetic singing, and as many recordings as are asked for."""
