"""`hummingface audit-labels` on tones with labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from hf_model.cli.main import main


@pytest.fixture
def folder(tmp_path):
    """Two recordings of four notes of 0.5 s, one with labels an octave too high."""
    seconds = np.arange(8_000) / 16_000
    fade = np.minimum(1.0, 20 * np.minimum(seconds, seconds[::-1]))
    pitches = (57, 60, 62, 64, 60, 57)
    sounds = [
        fade * sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * k * seconds) / k for k in range(1, 6))
        for pitch in pitches
    ]
    for name, octave in (("good", 0), ("high", 12)):
        soundfile.write(tmp_path / f"{name}.wav", 0.2 * np.concatenate(sounds), 16_000)
        rows = [f"{0.5 * k},{0.5 * k + 0.48},{pitch + octave}" for k, pitch in enumerate(pitches)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["onset,offset,pitch", *rows]), encoding="utf-8")
    return tmp_path


def test_faults_are_reported(folder, capsys):
    assert main(["audit-labels", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["high.wav: 1 octave too high", "2 recordings, 12 notes: octave in 1"]


def test_json_has_all_figures(folder, capsys):
    (folder / "high.wav").unlink()
    assert main(["audit-labels", str(folder), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["n_notes"], found["faults"]) == ("good.wav", 6, [])


def test_missing_labels_are_one_line(folder, capsys):
    (folder / "good.csv").unlink()
    assert main(["audit-labels", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("hummingface: error: ")
    assert captured.err.endswith("good.wav: no good.csv beside it\n")
    assert "1 recording, 6 notes: octave in 1" in captured.out, "the others are compared"
