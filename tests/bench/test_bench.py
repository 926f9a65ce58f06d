"""The program of benchmarks: its commands, its tables from the committed figures, its arithmetic."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import COMMANDS, load
from bench.music import music_structure
from bench.sound import piano_report
from bench.speed import cost, stages
from bench.transcription import noise
from hf_model.notes.note import Note

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_options(command):
    module = load(command)
    assert module.__doc__
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert callable(module.run)


def test_the_program_lists_its_commands():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_every_command_in_the_documents_exists():
    documents = [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("reports/**/*.md"),
        *ROOT.glob("hf_model/weights/*/README.md"),
    ]
    named = {name for path in documents for name in re.findall(r"python -m bench (\w+)", path.read_text())}
    assert named <= set(COMMANDS)
    assert {"accuracy", "piano", "music", "cost"} <= named


@pytest.mark.parametrize(
    ("module", "folder", "figures", "page"),
    [
        (cost, "transcriber", "cost.json", "cost.md"),
        (noise, "transcriber", "noise.json", "noise.md"),
        (piano_report, "piano", "figures.json", "table.md"),
    ],
)
def test_committed_figures_give_committed_pages(module, folder, figures, page):
    reports = ROOT / "reports" / folder
    assert module.markdown(json.loads((reports / figures).read_text())) == (reports / page).read_text()


def test_a_line_is_extrapolated_with_an_interval():
    constant, slope, value, half = stages.fit_line(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0]))
    assert (constant, slope, value) == pytest.approx((1.0, 2.0, 1.0 + 2.0 * stages.TARGET_HOURS))
    assert half == pytest.approx(0.0, abs=1e-3)
    assert stages.fit_line(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.2, 7.0]))[3] > 100


def test_agreement_of_streamed_notes():
    one, other = [Note(0, 1, 60), Note(2, 3, 62)], [Note(0, 1.0005, 60.01), Note(2, 3, 62.1)]
    assert cost.agreement(one, one) == 1.0
    assert cost.agreement(one, other) == 0.5
    assert cost.agreement([], []) == 0.0


def test_an_error_is_repaired_by_its_inverse_alone():
    notes = [Note(0.5 * i, 0.5 * i + 0.4, 60 + i % 7) for i in range(100)]
    melody = music_structure.with_errors(notes, np.random.default_rng(0))
    assert len(melody.errors) == 2
    assert melody.n_right == 98
    kind, index, key = melody.errors[0]
    fixed = music_structure.Correction(
        "pitch" if kind in ("semitone", "tone", "octave") else kind, index, key, 0.5, 2, 0, 1.0
    )
    assert music_structure.repairs(fixed, melody.errors[0], melody.notes)
    assert not music_structure.repairs(fixed, melody.errors[1], melody.notes)
