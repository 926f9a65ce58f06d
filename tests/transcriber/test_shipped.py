"""The weights that ship, on the example that ships."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model import convert
from hf_model.audio.grid import resampled_length
from hf_model.cli.main import main
from hf_model.notes.midi import read_midi
from hf_model.weights import WEIGHTS

pytestmark = pytest.mark.skipif(not (WEIGHTS / "transcriber").is_dir(), reason="no transcriber ships yet")

MELODY = [62, 69, 71, 69, 67, 66, 64, 62]
"""Twinkle, twinkle in D, without repeated notes."""


@pytest.mark.parametrize("sound", ["sampled", "neural"])
def test_the_example_is_converted(root: Path, tmp_path: Path, sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    voice = root / "examples" / "twinkle.wav"
    assert main(["convert", str(voice), "--out-dir", str(tmp_path), "--sound", sound, "--csv", "--plot", "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["files"]
    assert report["warnings"] == []
    keys = [note.pitch for note in read_midi(report["outputs"]["midi"])]
    assert [key for key, _ in groupby(keys)] == MELODY
    audio, sample_rate = soundfile.read(report["outputs"]["wav"])
    info = soundfile.info(voice)
    assert (sample_rate, len(audio)) == (44100, resampled_length(info.frames, info.samplerate, 44100))
    assert 0.05 < np.abs(audio).max() <= 1


@pytest.mark.parametrize("level", [0.001, 0.03, 0.3])
def test_noise_gives_no_notes(level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(5 * 16000).clip(-3, 3) / 3
    rendition = convert(noise, 16000)
    assert rendition.notes == []
    assert rendition.warnings == ("no singing was found: the piano is silent",)


@pytest.mark.parametrize("n_samples", [1, 100, 800, 16000])
def test_silence_of_any_length_gives_a_warning(n_samples: int) -> None:
    rendition = convert(np.zeros(n_samples), 16000)
    assert rendition.warnings == ("the recording is silent",)
    assert rendition.audio.shape == (2, resampled_length(n_samples, 16000, 44100))
    assert not rendition.audio.any()


def test_all_weights_together_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 60e6
