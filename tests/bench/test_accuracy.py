"""The protocol that measures transcribers: conventions of labels, folds and their singers, the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.transcription.accuracy import without_nan
from bench.transcription.accuracy_report import BEGIN, END, write_report
from bench.transcription.recordings import CONVENTIONS, CORRECTED, PUBLISHED, UNBIASED, Recording, labels
from bench.transcription.systems import folds_system
from hf_model.alignment.correction import Correction
from hf_model.alignment.labels.correction import Measurement
from hf_model.evaluation.corpus_scores import score_corpus
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

MELODY = [Note(float(i), i + 0.5, 60.0) for i in range(4)]


def recording(name: str, notes: list[Note], bias: float = 4.0) -> Recording:
    measured = Measurement(0.0, 0.01, 0.0, 0.01, bias, 0.1, 0, len(notes))
    return Recording("ssvd", name, name, Path(name), notes, notes[:1], measured, Correction(), 0, 1.0)


def test_conventions_of_labels():
    one = recording("a", [Note(0, 1, float(hz_to_pitch(224.0))), Note(1, 2, 50.0)])
    assert labels(one, UNBIASED, 4.0)[0].pitch == pytest.approx(57.0)
    assert labels(one, PUBLISHED, 4.0) == one.published
    assert labels(one, CORRECTED, 4.0) == one.corrected
    assert len(CONVENTIONS) == 3


def folder_of_folds(path: Path, *held_out: list[str]) -> Path:
    for number, groups in enumerate(held_out):
        (path / str(number)).mkdir()
        (path / str(number) / "config.json").write_text(json.dumps({"held_out": groups}))
    return path


def test_each_fold_is_measured_only_on_the_singers_held_out(tmp_path, capsys):
    known = [recording(name, MELODY, bias) for name, bias in (("a", 1.0), ("b", 2.0), ("c", 9.0))]
    system = folds_system(folder_of_folds(tmp_path, ["a"], ["b"]), known)
    assert [one.name for one in system.recordings] == ["a", "b"]
    assert system.folder_of["a"] == tmp_path / "0"
    assert system.bias_of["a"] == np.median([2.0, 9.0]), "without the recordings that it is measured on"
    assert "no model holds out c" in capsys.readouterr().err
    assert system.labels(PUBLISHED) == [MELODY, MELODY]


def test_two_folds_with_the_same_singer_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="holds out a"):
        folds_system(folder_of_folds(tmp_path, ["a"], ["a", "b"]), [recording("a", MELODY)])


def test_the_report_replaces_only_the_tables_of_the_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold tables\n{END}\nafter\n")
    figures = score_corpus([(MELODY, MELODY)] * 2)
    report = {"made": {"figures": dict.fromkeys(CONVENTIONS, figures)}}
    write_report(tmp_path, report)
    write_report(tmp_path, report)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old tables" not in text
    assert "synthetic voices only, SSVD, as published | 2, 8 | 1.000 [1.000, 1.000] | " in text
    assert (tmp_path / "table.md").read_text() in text


def test_the_committed_figures_give_the_committed_tables(tmp_path):
    reports = Path(__file__).resolve().parents[2] / "reports" / "transcriber"
    write_report(tmp_path, json.loads((reports / "figures.json").read_text()))
    assert (tmp_path / "table.md").read_text() == (reports / "table.md").read_text()
    assert (reports / "table.md").read_text() in (reports / "README.md").read_text()


def test_nan_becomes_none():
    assert without_nan({"a": [1.0, float("nan")], 2: (float("inf"), "x")}) == {"a": [1.0, None], "2": [None, "x"]}
