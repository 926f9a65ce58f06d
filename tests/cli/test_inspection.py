"""`hummingface analyse`: text, JSON, and errors of one line, as `identify` has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_model.audio.io import write_audio
from hf_model.cli.commands.analyse import as_text
from hf_model.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "twinkle.wav"

SONG: dict[str, Any] = {
    "input": "song.mp3",
    "duration": 65.0,
    "source": "song",
    "loudness": -9.04,
    "tempo": {"bpm": 120.4, "confidence": 1.0},
    "meter": {"value": "4/4", "confidence": 0.875},
    "key": {"name": "A minor", "confidence": 0.5},
    "instruments": {"piano": 0.8, "drums": 0.3},
    "melody": {"sung_share": 0.25, "notes_per_second": 2.0, "range": 12.0, "mean_interval": 1.5},
    "genres": {"rock": 0.7, "waltz": 0.2, "march": 0.05},
    "genres_trained_on": "made arrangements",
    "popularity": {"value": 40.2, "four_of_five_between": [20.0, 61.0], "explained_variance": -0.1},
    "warnings": ["the end is missing"],
}


def test_an_analysis_in_a_few_lines() -> None:
    assert as_text(SONG).splitlines() == [
        "song.mp3: a song, 1:05, -9.0 LUFS",
        "  tempo        120 bpm (99 % sure), 4/4 (88 %)",
        "  key          A minor (50 %)",
        "  instruments  piano 80 %, drums 30 %",
        "  melody       sung 25 % of the time, range 12 semitones, 2.0 notes a second, steps of 1.5 semitones",
        "  genre        rock 70 %, waltz 20 %; by a model of made arrangements",
        "  popularity   40 of 100, four of five such songs lie between 20 and 61; "
        "the model explains 0 % of the differences between songs",
        "  note: the end is missing",
    ]


def test_a_voice_has_a_key_and_no_genre(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(EXAMPLE), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["files"]
    assert (found["input"], found["source"], found["genres"]) == (str(EXAMPLE), "voice", {})
    assert found["key"]["name"] == "D major"
    assert max(found["instruments"], key=found["instruments"].get) in {"voice", "woman", "man", "child", "humming"}


def test_unusable_files_are_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_audio(tmp_path / "short.wav", np.full((1, 8000), 0.5, dtype=np.float32), 16000)
    write_audio(tmp_path / "silent.wav", np.zeros((1, 32000), dtype=np.float32), 16000)
    assert main(["analyse", str(tmp_path / "short.wav"), str(tmp_path / "silent.wav"), str(tmp_path / "none.wav")]) == 1
    captured = capsys.readouterr()
    assert not captured.out
    short, silent, missing = sorted(captured.err.splitlines(), key=lambda line: "none" in line)
    assert "short.wav: the recording has 0.50 s; at least 1 s are needed" in short
    assert "silent.wav: the recording is silent" in silent
    assert "none.wav" in missing


def test_a_folder_without_a_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(EXAMPLE), "--popularity", str(tmp_path)]) == 1
    assert f"{tmp_path}: no config.json; `python -m stages.analysis` makes" in capsys.readouterr().err
