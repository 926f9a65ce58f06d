"""``hummingface render``: notes to a wav file, or one error line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.cli.commands.render import TAIL_SECONDS, RenderOptions, render_file
from hf_model.cli.main import main
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note
from hf_model.notes.note_files import write_csv
from hf_model.piano.performance import Performance
from tests.fakes import press_pedal, tone_models

KEYS = [Note(0.0, 0.5, 60, 70), Note(0.5, 1.0, 64, 90)]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    write_midi(tmp_path / "tune.mid", KEYS)
    return tmp_path / "tune.mid"


def test_render_writes_next_to_the_notes(tune: Path, capsys: Capture) -> None:
    assert main(["render", str(tune)]) == 0
    info = soundfile.info(tune.with_suffix(".wav"))
    assert (info.samplerate, info.frames) == (44100, round((1.0 + TAIL_SECONDS) * 44100))
    assert capsys.readouterr().out == f"{tune}: 2 notes in 2.50 s -> {tune.with_suffix('.wav')}\n"


def test_csv_and_midi_render_alike(tune: Path) -> None:
    table = tune.with_name("table.csv")
    write_csv(table, KEYS, KEYS)
    for source in (tune, table):
        assert main(["render", str(source), "--quiet"]) == 0
    one, other = (soundfile.read(source.with_suffix(".wav"))[0] for source in (tune, table))
    np.testing.assert_allclose(one, other, atol=0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.7, 3.21])
def test_the_duration_can_be_set(tune: Path, seconds: float) -> None:
    out = tune.with_name("out.wav")
    assert main(["render", str(tune), "-o", str(out), "--duration", str(seconds), "--quiet"]) == 0
    assert soundfile.info(out).frames == round(seconds * 44100)


def test_notes_beyond_the_duration_are_a_warning(tune: Path, capsys: Capture) -> None:
    assert main(["render", str(tune), "--duration", "0.25"]) == 0
    assert "1 notes begin after 0.25 s and are left out" in capsys.readouterr().err


def test_render_keeps_existing_outputs_without_overwrite(tune: Path, capsys: Capture) -> None:
    out = tune.with_suffix(".wav")
    out.write_bytes(b"mine")
    assert main(["render", str(tune)]) == 1
    assert "exists; add --overwrite to replace it, or choose another file with -o" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main(["render", str(tune), "--overwrite", "--quiet"]) == 0
    assert soundfile.info(out).frames > 0


def test_json_is_one_document(tune: Path, capsys: Capture) -> None:
    assert main(["render", str(tune), "--json", "--sound", "neural", "--reverb", "0.2"]) == 0
    [report] = json.loads(capsys.readouterr().out)["files"]
    assert report["outputs"] == {"wav": str(tune.with_suffix(".wav"))}
    assert (report["n_notes"], report["duration"], report["error"]) == (2, 2.5, None)
    assert report["loudness"] == pytest.approx(-16, abs=0.1)
    assert report["true_peak"] < -1


def test_silence_has_no_level_in_json(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.csv").write_text("onset,offset,note\n")
    assert main(["render", str(tmp_path / "a.csv"), "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["files"]
    assert (report["gain"], report["loudness"], report["true_peak"]) == (1.0, None, None)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.mid", None, "no such file or directory"),
        ("bad.mid", b"MThd", "not a readable MIDI file"),
        ("bad.csv", b"onset,offset,note\n1,0,60\n", "line 2"),
        ("long.csv", b"onset,offset,note\n0,99999,60\n", "27.8 hours of notes, at most 4 are rendered"),
    ],
)
def test_bad_files_are_one_error_line_without_output(
    tmp_path: Path, name: str, content: bytes | None, sentence: str, capsys: Capture
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["render", str(tmp_path / name)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.wav"))
    assert not list(tmp_path.glob(".hummingface*"))


def test_the_output_must_be_a_wav_file(tune: Path, capsys: Capture) -> None:
    assert main(["render", str(tune), "-o", str(tune.with_name("a.mp3"))]) == 1
    assert "the output is a wav file" in capsys.readouterr().err


def test_a_missing_sound_font_is_one_error_line(tune: Path, capsys: Capture) -> None:
    missing = str(tune.with_name("no.sf2"))
    assert main(["render", str(tune), "--sound", "reference", "--sound-font", missing, "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("hummingface: error: the model cannot be loaded: ")
    assert len(captured.err.splitlines()) == 1
    assert json.loads(captured.out)["files"] == []


def test_a_pedal_in_the_file_replaces_the_added_one(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid", [Note(0.0, 0.5, 60), Note(0.5, 1.0, 64)])
    press_pedal(tmp_path / "a.mid", [(0.25, 0.4)])
    for name, performance in (("dry", Performance()), ("wet", Performance(pedal=True))):
        options = RenderOptions(tmp_path / f"{name}.wav", performance=performance)
        assert render_file(tmp_path / "a.mid", options, tone_models()).error is None
    assert (tmp_path / "dry.wav").read_bytes() == (tmp_path / "wet.wav").read_bytes()


def test_json_has_the_notes(tune: Path, capsys: Capture) -> None:
    assert main(["render", str(tune), "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["files"]
    assert len(report["notes"]) == report["n_notes"] > 0
    assert set(report["notes"][0]) == {"onset", "offset", "pitch", "name", "velocity"}
