"""The processor that a measurement was made on: speed depends on its vector instructions."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

INSTRUCTIONS = {"AVX2": ("avx2",), "AVX-512": ("avx512f",), "VNNI": ("avx512_vnni", "avx_vnni")}
"""By name: the flags of Linux that tell it. Networks in 8 bits are fast with VNNI, all networks with AVX-512."""


def describe_processor(cpuinfo: Path = CPUINFO) -> str:
    """Name the processor, and the instructions that it has and lacks; without Linux, its architecture only."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    entries = [line.partition(":") for line in lines]
    values = {key.strip(): value.strip() for key, _, value in entries}
    flags = set(values.get("flags", "").split())
    if not flags:
        return platform.machine()
    has = {name: bool(flags.intersection(names)) for name, names in INSTRUCTIONS.items()}
    present, absent = ([name for name in has if has[name] is wanted] for wanted in (True, False))
    parts = [values.get("model name", platform.machine())]
    parts += [f"with {' and '.join(present)}"] if present else []
    parts += [f"without {' and '.join(absent)}"] if absent else []
    return ", ".join(parts)
