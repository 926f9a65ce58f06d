"""Memory of the process: large blocks go back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from pathlib import Path
from hf_model.parallel.memory import prefer_little_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if {prefer}:
    prefer_little_memory()
for size in range(4, 32, 4):  # glibc keeps blocks of the sizes that were freed before
    blocks = [np.ones(size * 2**20 // 8) for _ in range(2)]
    del blocks
blocks = [np.ones(20 * 2**20 // 8) for _ in range(4)]
keep = np.ones(2**17)
before = resident()
del blocks
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_blocks_are_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(prefer=True)], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 70 * 2**20
