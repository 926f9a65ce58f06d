"""The output files of a conversion: their content, titles and errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hf_model.audio.io import write_audio
from hf_model.audio.recording import Recording, as_recording
from hf_model.export.all_or_none import DiskError, OutputError
from hf_model.export.outputs import Conversion, write_take
from hf_model.inference import arrange_recording
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance, perform, play
from tests.fakes import tone_models, tones


@pytest.fixture(scope="module")
def recording() -> Recording:
    return as_recording(tones([60, 64, 67]), 16000)


@pytest.fixture(scope="module")
def conversion(recording: Recording) -> Conversion:
    return Conversion("hum.wav", recording, arrange_recording(recording, models=tone_models())[0])


def test_each_kind_is_written_to_its_path(conversion: Conversion, tmp_path: Path) -> None:
    starts = {"midi": b"MThd", "csv": b"onset,offset,pitch,", "musicxml": b"<?xml", "plot": b"\x89PNG"}
    starts["structure"] = starts["plot"]
    conversion.write({kind: tmp_path / kind for kind in starts})
    assert {kind: (tmp_path / kind).read_bytes()[: len(start)] for kind, start in starts.items()} == starts


def test_the_title_of_the_score_has_no_suffix(conversion: Conversion, tmp_path: Path) -> None:
    conversion.write({"musicxml": tmp_path / "score"})
    assert "<movement-title>hum</movement-title>" in (tmp_path / "score").read_text(encoding="utf-8")


def test_a_take_is_written_as_its_audio(tmp_path: Path) -> None:
    notes, n_samples, models = [Note(0.1, 0.6, 60, 90), Note(0.6, 1.2, 67, 50)], 61234, tone_models()
    with perform(notes, n_samples, Performance(reverb=0.3), models) as take:
        write_take(tmp_path / "blocks.wav", take)
    write_audio(tmp_path / "whole.wav", play(notes, n_samples, Performance(reverb=0.3), models), 44100)
    assert (tmp_path / "blocks.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()


def test_wav_needs_a_take(conversion: Conversion, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="take is missing"):
        conversion.write({"wav": tmp_path / "a.wav"})


def test_without_music21_the_error_is_an_output_error(
    conversion: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_model.export.musicxml.find_spec", lambda _: None)
    with pytest.raises(OutputError, match="music21") as error:
        conversion.write({"musicxml": tmp_path / "a.musicxml"})
    assert not isinstance(error.value, DiskError)


@pytest.mark.parametrize(
    ("name", "title"),
    [("b\udcff.wav", "b\ufffd"), ("\udcc3\udca9.wav", "é"), ("é.wav", "é"), ("b\ud800.wav", "b")],  # undecoded bytes
)
def test_any_file_name_gives_a_title(conversion: Conversion, tmp_path: Path, name: str, title: str) -> None:
    conversion = replace(conversion, name=name)
    conversion.write({kind: tmp_path / kind for kind in ("musicxml", "plot", "structure")})
    assert f"<movement-title>{title}</movement-title>" in (tmp_path / "musicxml").read_text(encoding="utf-8")
