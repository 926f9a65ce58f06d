"""The instruments of clips: the shipped weights on sounds made by other modules, timelines and unusable audio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hf_model.audio.resampling import resample
from hf_model.cli.main import main
from hf_model.config import ConfigError
from hf_model.instruments.classes import CLASSES, INSTRUMENTS, PROGRAMS, RANGES
from hf_model.instruments.config import InstrumentConfig
from hf_model.instruments.identifier import (
    CLIP_SECONDS,
    InstrumentIdentifier,
    Span,
    default_identifier,
    summarize,
)
from hf_model.instruments.network import InstrumentNetwork
from hf_model.instruments.spectrogram import RATE
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.composition import twinkle
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.weights import WEIGHTS

EXAMPLE = Path(__file__).parents[2] / "examples" / "twinkle.wav"


def _piano(notes: list[Note], seconds: float) -> np.ndarray:
    sound = SampledPiano.load(channels=1).render(notes, round(seconds * 44100))[0]
    return resample(sound, 44100, RATE)


def _melody(shift: float = 0.0) -> list[Note]:
    return [Note(note.onset + shift, note.offset + shift, note.pitch) for note in twinkle()]


def test_piano_and_voice() -> None:
    assert default_identifier().identify(_piano(_melody(), 8.0)).top == "piano"
    song = sing(twinkle(), 3, SingerConfig(style="words", speech=0.0))
    voice = default_identifier().identify(resample(song.audio, song.sample_rate, RATE)).probabilities
    assert voice["voice"] > 0.5
    assert voice["piano"] < 0.2


def test_a_timeline_names_what_sounds_when() -> None:
    song = sing(_melody(0.1), 3, SingerConfig(style="words", speech=0.0))
    voice = resample(song.audio, song.sample_rate, RATE)[: 8 * RATE]
    audio = np.concatenate([_piano(_melody(), 8.0), np.zeros(8 * RATE, dtype=np.float32), voice])
    spans = default_identifier().timeline(audio)
    assert spans[0].top == "piano"
    assert spans[-1].probabilities["voice"] > 0.5
    assert any(not span.probabilities for span in spans), "silence"
    assert [span.start for span in spans[:3]] == [0.0, 2.5, 5.0]
    assert spans[-1].end == pytest.approx(len(audio) / RATE, abs=0.03)
    assert all(span.end - span.start <= CLIP_SECONDS + 0.03 for span in spans)


def _share_called_piano(sound: SampledPiano, velocities: tuple[int, ...], keys: range, seconds: float = 5.0) -> float:
    tops = []
    for key in keys:
        for velocity in velocities:
            audio = sound.render([Note(0.0, 0.9 * seconds, float(key), velocity)], round(seconds * 44100))[0]
            probabilities = default_identifier().identify(resample(audio, 44100, RATE)).probabilities
            tops.append(max(set(INSTRUMENTS) & set(probabilities), key=probabilities.__getitem__))
    return tops.count("piano") / len(tops)


@pytest.mark.parametrize("weights", ["piano", "piano_concert"])
def test_single_notes_of_a_piano(weights: str) -> None:
    sound = SampledPiano.load(WEIGHTS / weights, channels=1)
    assert _share_called_piano(sound, (50, 80, 115), range(24, 92, 5)) > 0.8


def test_a_note_that_dies_away_keeps_its_name() -> None:
    sound = SampledPiano.load(WEIGHTS / "piano_concert", channels=1)
    assert _share_called_piano(sound, (90,), range(28, 80, 6), seconds=16.0) > 0.8


def test_soft_parts_do_not_outvote_loud_ones() -> None:
    loud = Span(0.0, 5.0, dict.fromkeys(CLASSES, 0.0) | {"piano": 0.8}, 0.0)
    soft = [Span(start, start + 5.0, dict.fromkeys(CLASSES, 0.0) | {"cello": 0.9}, -20.0) for start in (2.5, 5.0)]
    silence = Span(7.5, 12.5, {}, -90.0)
    found = summarize([loud, *soft, silence])
    assert found.probabilities["piano"] == pytest.approx(0.8 / 1.2)
    assert found.probabilities["cello"] == pytest.approx(2 * 0.1 * 0.9 / 1.2)
    assert (found.start, found.end) == (0.0, 12.5)
    assert summarize([silence]).top == "silence"


def test_levels_are_relative_to_the_loudest_window() -> None:
    audio = np.concatenate([_piano(_melody(), 8.0), 0.1 * _piano(_melody(), 8.0)])
    levels = [span.level for span in default_identifier().timeline(audio)]
    assert max(levels) == 0.0
    assert levels[-1] == pytest.approx(-20.0, abs=6.0)


def test_silence_and_short_clips() -> None:
    assert default_identifier().identify(np.zeros(2 * RATE, dtype=np.float32)).top == "silence"
    with pytest.raises(ConfigError, match="at least 1 s"):
        default_identifier().identify(np.zeros(RATE - 1, dtype=np.float32))


def test_a_network_and_its_export(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = InstrumentNetwork(InstrumentConfig(channels=(4, 8), width=16)).eval()
    network.save_pretrained(tmp_path)
    loaded = InstrumentIdentifier.from_pretrained(tmp_path)
    clips = np.random.default_rng(0).random((3, 77, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(loaded.logits(clips), expected, atol=1e-4)


def test_a_prior_multiplies_the_odds(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = InstrumentNetwork(InstrumentConfig(channels=(4, 8), width=16)).eval()
    clips = np.random.default_rng(0).random((2, 77, 64)).astype(np.float32)
    logits = []
    for prior in ({}, {"piano": 4.0}):
        network.save_pretrained(tmp_path, calibration={"slope": 2.0, "shift": 0.5, "prior": prior})
        logits.append(InstrumentIdentifier.from_pretrained(tmp_path).logits(clips))
    added = np.zeros(len(CLASSES))
    added[CLASSES.index("piano")] = np.log(4.0)
    np.testing.assert_allclose(logits[1] - logits[0], np.broadcast_to(added, (2, len(CLASSES))), atol=1e-6)


def test_the_shipped_network_is_small() -> None:
    network = InstrumentNetwork.from_pretrained(default_identifier().folder)
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000


def test_classes_are_consistent() -> None:
    assert set(RANGES) == set(PROGRAMS)
    assert len(CLASSES) == len(set(CLASSES)) >= 20
    programs = [program for group in PROGRAMS.values() for program in group]
    assert len(programs) == len(set(programs))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    piano = tmp_path / "piano.wav"
    soundfile.write(piano, _piano(_melody(), 8.0), RATE)
    assert main(["identify", str(EXAMPLE), str(piano), "--timeline"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{EXAMPLE}: voice")
    assert any(line.startswith(f"{piano}: piano") for line in lines)
    assert any(line.startswith("  0:00-0:05  ") for line in lines)


def test_command_with_unusable_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(800), RATE)
    assert main(["identify", str(short), str(tmp_path / "missing.wav"), str(EXAMPLE), "--json"]) == 1
    captured = capsys.readouterr()
    errors = captured.err.splitlines()
    assert len(errors) == 2
    assert "at least 1 s" in errors[0]
    assert "missing.wav" in errors[1]
    files = json.loads(captured.out)["files"]
    assert [("error" in item) for item in files] == [True, True, False]
