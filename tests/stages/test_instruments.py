"""The instruments stage: from recordings in NSynth's layout to a network that identifies."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hf_model.audio.io import write_audio
from hf_model.instruments.classes import CLASSES
from hf_model.instruments.identifier import InstrumentIdentifier
from hf_model.instruments.spectrogram import RATE
from hf_model.weights import read_config
from stages import instruments

SMALL = {"steps": 1, "made_clips": 4, "piano_clips": 2, "recorded_clips": 3}


def test_recordings_of_nsynth_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["instruments"])
    monkeypatch.setattr("hf_model.training.instruments.fitting.BATCH_SIZE", 4)
    content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    content["instruments"] = SMALL
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    home = Path("data/raw/nsynth/nsynth-train")
    (home / "audio").mkdir(parents=True)
    example = {"pitch": 60, "velocity": 90, "instrument_family_str": "flute", "instrument_source_str": "acoustic"}
    (home / "examples.json").write_text(json.dumps({"flute_acoustic_001-060-090": example}), encoding="utf-8")
    tone = 0.2 * np.sin(2 * np.pi * 261.6 * np.arange(4 * RATE) / RATE)
    write_audio(home / "audio" / "flute_acoustic_001-060-090.wav", tone.astype(np.float32), RATE)
    Path("data/raw/corpora.json").write_text(json.dumps({"made": {}, "nsynth": {}}), encoding="utf-8")
    instruments.main()
    assert capsys.readouterr().out.splitlines()[-1].startswith("instruments: 7 clips, accuracy ")
    config = read_config(Path("data/model/instruments"))
    assert config["trained_on"] == "made voices, nsynth, sampled piano"
    span = InstrumentIdentifier.from_pretrained(Path("data/model/instruments")).identify(tone.astype(np.float32))
    assert set(span.probabilities) == set(CLASSES)
