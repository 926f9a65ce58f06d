"""`hummingface practice` from recordings and scores of all kinds."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from hf_model.cli.main import main
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note

EXAMPLE = Path(__file__).parents[2] / "examples" / "twinkle.wav"
TWINKLE = (62, 62, 69, 69, 71, 71, 69, 67, 67, 66, 66, 64, 64, 62)


def score(path: Path, transpose: int = 0) -> Path:
    lengths = [0.5] * 6 + [1.0] + [0.5] * 6 + [1.0]
    onsets = [sum(lengths[:k]) for k in range(14)]
    notes = [Note(t, t + 0.4, float(key + transpose)) for t, key in zip(onsets, TWINKLE, strict=True)]
    if path.suffix == ".mid":
        write_midi(path, notes)
    else:
        rows = [f"{note.onset},{note.offset},{note.pitch:.0f}" for note in notes]
        path.write_text("\n".join(["onset,offset,note", *rows]))
    return path


def test_a_take_is_compared_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--csv", str(tmp_path / "a.csv"), "--picture", str(tmp_path / "a.png")]
    tune = str(score(tmp_path / "tune.mid", transpose=12))
    assert main(["practice", str(EXAMPLE), tune, *files]) == 0
    shown = capsys.readouterr().out
    assert "14 of 14 notes sung" in shown
    assert "Sung 1 octave lower than written" in shown
    assert f"-> {tmp_path / 'a.png'}" in shown
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 15
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    before = (tmp_path / "a.csv").read_bytes()
    assert main(["practice", str(EXAMPLE), tune, *files]) == 1
    assert "exists; add --overwrite" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_bytes() == before


def test_json_has_the_result_or_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["practice", str(EXAMPLE), str(score(tmp_path / "tune.csv")), "--json", "--tuning", "0"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n_sung"], document["transposition"], document["error"]) == (14, 0, None)
    (tmp_path / "other.csv").write_text("onset,offset,note\n" + "\n".join(f"{k},{k}.5,{60 + k}" for k in range(20)))
    assert main(["practice", str(EXAMPLE), str(tmp_path / "other.csv"), "--json"]) == 1
    captured = capsys.readouterr()
    assert "the recording is not of this score" in json.loads(captured.out)["error"]
    assert captured.err.count("\n") == 1


def test_a_musicxml_score_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("music21")
    from hf_model.export.musicxml import write_musicxml
    from hf_model.music.arrangement import Arrangement, arrange
    from hf_model.notes.note_files import read_score

    notes = read_score(score(tmp_path / "tune.csv")).notes
    write_musicxml(tmp_path / "a.musicxml", arrange(notes, 9.0, Arrangement(tempo=120.0, meter="4/4")))
    assert main(["practice", str(EXAMPLE), str(tmp_path / "a.musicxml")]) == 0
    assert "14 of 14 notes sung" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["x.mid", "x.csv", "x.musicxml", "x.wav"])
def test_an_unusable_score_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    for content in (None, b"", b"<score", EXAMPLE.read_bytes()[:100]):
        if content is not None:
            path.write_bytes(content)
        assert main(["practice", str(EXAMPLE), str(path)]) == 1
        error = capsys.readouterr().err
        assert name in error
        assert error.count("\n") == 1


def test_files_that_are_no_scores_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.musicxml", bytes(21_000_000))
    expected = {"bomb.mxl": "larger than 20 MB"}
    if hasattr(os, "mkfifo"):
        for name in ("pipe.musicxml", "pipe.mxl", "pipe.mid", "pipe.csv"):
            os.mkfifo(tmp_path / name)
            expected[name] = "a pipe or a device"
    for name, message in expected.items():
        assert main(["practice", str(EXAMPLE), str(tmp_path / name)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"hummingface: error: {tmp_path / name}: ")
        assert message in error
        assert error.count("\n") == 1


def test_table_and_picture_are_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = str(tmp_path / "a.png")
    tune = str(score(tmp_path / "tune.csv"))
    assert main(["practice", str(EXAMPLE), tune, "--csv", same, "--picture", same]) == 1
    assert "--csv and --picture name the same file" in capsys.readouterr().err
    assert not Path(same).exists()
