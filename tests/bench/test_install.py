"""The benchmark of the installation: the processor by hand-made lists of flags, and interpreters that only complain."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from bench.speed import install
from bench.speed.processor import describe_processor


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 fma", "Maker 7, with AVX2, without AVX-512 and VNNI"),
        ("avx2 avx512f avx512bw", "Maker 7, with AVX2 and AVX-512, without VNNI"),
        ("avx2 avx512f avx512_vnni", "Maker 7, with AVX2 and AVX-512 and VNNI"),
        ("avx2 avx_vnni", "Maker 7, with AVX2 and VNNI, without AVX-512"),
    ],
)
def test_the_instructions_of_a_processor_are_named(tmp_path: Path, flags: str, expected: str) -> None:
    core = f"model name\t: Maker 7\nbugs\t: a:b\nflags\t\t: {flags}\n\n"
    (tmp_path / "cpuinfo").write_text(2 * core)
    assert describe_processor(tmp_path / "cpuinfo") == expected
    assert describe_processor(tmp_path / "none") == platform.machine()


def test_interpreters_that_run_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is another version, one that is this version, one that is none, and one that is missing."""
    said = {"other": "print('3.12.9')", "own": f"print('{platform.python_version()}')", "none": "raise SystemExit(127)"}
    for name, line in said.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env python3\n{line}\n")
        (tmp_path / name).chmod(0o755)
    converted: dict[str, dict[str, bytes]] = {"pip": {"a.mid": b"1"}, "python 3.12.9": {"a.mid": b"2"}}
    monkeypatch.setattr(install, "_installed", lambda *arguments: arguments[-1])
    monkeypatch.setattr(install, "_converted", lambda *arguments: converted[arguments[0].name])
    pythons = [str(tmp_path / name) for name in (*said, "missing")]
    [row] = install.try_interpreters(tmp_path, Path("wheel"), pythons)
    assert "Python 3.12.9" in row["what"]
    assert row["value"] == "other files"
    converted["python 3.12.9"] = converted["pip"]
    [row] = install.try_interpreters(tmp_path, Path("wheel"), pythons)
    assert row["value"] == row["target"] == "the same files"
