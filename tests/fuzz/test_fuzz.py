"""Some damaged files of each kind, and all that ever broke a promise; ``python -m bench fuzz`` runs thousands."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import harness, targets
from tests.fuzz.mutations import mutate

COUNT = 120


def test_damaged_files_break_no_promise() -> None:
    outcomes = list(harness.run(COUNT))
    assert {outcome.target for outcome in outcomes} == set(harness.SHARES)
    assert [(outcome.target, outcome.number, outcome.problems) for outcome in outcomes if outcome.problems] == []


SEEDS = sorted(path for path in harness.SEEDS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}"[:50])
def test_files_that_once_broke_a_promise(path: Path) -> None:
    name = path.name.removesuffix(".bin").partition("-")[2].replace("+", "/")
    assert harness.check(path.parent.name, name, path.read_bytes()) == []


def test_whole_files_are_read() -> None:
    for target in ("audio", "midi", "table"):
        for name, content in targets.targets()[target].files().items():
            assert harness.check(target, name, content) == [], name


def test_inputs_are_the_same_on_every_run() -> None:
    assert harness.make_input("table", 7) == harness.make_input("table", 7)
    assert len({mutate(b"0123456789", random.Random(number)) for number in range(50)}) > 20


def test_a_broken_promise_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError

    (tmp_path / "a.csv").write_text("onset,offset,note\n0,1,60\n")
    assert targets.check_notes(tmp_path, "a.csv") == []
    (tmp_path / "out" / "a.wav").unlink()
    monkeypatch.setattr("hf_model.cli.commands.render.read_score", fail)
    [said] = targets.check_notes(tmp_path, "a.csv")
    assert "IndexError" in said
