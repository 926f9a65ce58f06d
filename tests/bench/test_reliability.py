"""The report on reliability: rows are kept a part, and written as tables."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import pytest

from bench.reliability import reliability

ROW = {"what": "page: a|b", "target": "0", "result": "0 findings", "command": "python -m bench attack"}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reliability, "KEPT", tmp_path / "reliability.json")
    monkeypatch.setattr(reliability, "REPORT", tmp_path / "reliability.md")


def test_a_part_replaces_its_own_rows_only() -> None:
    reliability.save("soak", [ROW | {"what": "soak"}])
    reliability.save("attack", [ROW, ROW])
    reliability.save("attack", [ROW | {"more": "left out"}])
    assert reliability.read_kept() == {"attack": [ROW], "soak": [ROW | {"what": "soak"}]}
    text = reliability.REPORT.read_text()
    assert text.index("## The page under attack") < text.index("## The page under a steady load")
    assert text.count("| page: a\\|b | 0 | 0 findings | `python -m bench attack` |") == 1


def test_the_command_runs_the_parts_that_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    class Part:
        def __init__(self, name: str) -> None:
            self.name = name

        def rows(self) -> list[dict[str, str]]:
            ran.append(self.name)
            return [ROW]

    monkeypatch.setattr(importlib, "import_module", Part)
    parser = argparse.ArgumentParser()
    reliability.add_arguments(parser)
    reliability.run(parser.parse_args(["--run", "attack", "fuzz"]))
    assert ran == ["bench.reliability.attack", "bench.reliability.fuzz"]
    assert list(reliability.read_kept()) == ["attack", "fuzz"]
    reliability.run(parser.parse_args(["--run"]))
    assert len(ran) == 2, "without parts only the report is written"
