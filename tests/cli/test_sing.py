"""`hummingface sing` from melody files of all kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from hf_model.cli.main import main
from hf_model.lyrics.melody_file import read_melody_file
from hf_model.lyrics.musicxml_melody import read_musicxml_melody

EXAMPLE = Path(__file__).parents[2] / "examples" / "twinkle.wav"
TABLE = "onset,offset,note\n0.5,1.0,C4\n1.0,1.5,D4\n1.5,2.5,E4\n"


def test_a_recording_is_sung_at_its_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sung.wav"
    words = tmp_path / "words.txt"
    words.write_text("Twinkle twinkle little star\nhow I wonder what you are", encoding="utf-8")
    assert main(["sing", str(EXAMPLE), "--lyrics", str(words), "--piano", "-o", str(out)]) == 0
    source, sung = soundfile.info(EXAMPLE), soundfile.info(out)
    assert sung.frames == round(source.frames * 44100 / source.samplerate)
    assert sung.channels == 2
    assert "14 notes" in capsys.readouterr().out


def test_a_table_and_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "tune.csv"
    table.write_text(TABLE)
    assert main(["sing", str(table), "--lyrics", "do re mi fa"]) == 0
    out = tmp_path / "tune_sung.wav"
    assert soundfile.info(out).frames == 3 * 44100
    captured = capsys.readouterr()
    assert "4 syllables for 3 notes: the last 1 are not sung (fa)" in captured.err
    before = out.read_bytes()
    for arguments, message in (
        (["--lyrics", "la"], "exists; add --overwrite"),
        (["--lyrics", " ", "--overwrite"], "there are no words"),
        (["--lyrics", "12", "--overwrite"], "no words"),
        (["--lyrics", "missing.txt", "--overwrite"], "missing.txt: no such file"),
        (["--lyrics", "la", "-o", str(tmp_path / "x.mp3")], "does not end in .wav"),
    ):
        assert main(["sing", str(table), *arguments]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tune.csv", "tune_sung.wav"]


@pytest.mark.parametrize("name", ["x.musicxml", "x.csv", "x.mid", "x.wav"])
def test_a_damaged_melody_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    for content in (None, b"<score", b""):
        if content is not None:
            path.write_bytes(content)
        assert main(["sing", str(path), "--lyrics", "la"]) == 1
        error = capsys.readouterr().err
        assert name in error
        assert error.count("\n") == 1


def test_a_score_is_sung_with_its_own_words(tmp_path: Path) -> None:
    music21 = pytest.importorskip("music21")
    part = music21.stream.Part()
    part.append(music21.tempo.MetronomeMark(number=120))
    lines = (("C4", 1, "Twin", "begin"), ("C4", 1, "kle", "end"), ("G4", 1, "star", "single"), ("A4", 1.5, "", None))
    for pitch, length, text, syllabic in (*lines, ("G4", 1.5, "now", "single")):
        note = music21.note.Note(pitch, quarterLength=length)
        if text:
            note.lyrics.append(music21.note.Lyric(text=text, number=1, syllabic=syllabic))
        part.append(note)
    path = tmp_path / "song.musicxml"
    music21.stream.Score([part]).write("musicxml", path)
    melody = read_musicxml_melody(path)
    assert melody.lyrics == "Twin-kle star_ now"
    assert [(note.onset, note.offset, note.pitch) for note in melody.notes] == [
        (0.0, 0.5, 60.0),
        (0.5, 1.0, 60.0),
        (1.0, 1.5, 67.0),
        (1.5, 2.25, 69.0),
        (2.25, 3.0, 67.0),
    ]
    assert melody.duration == 3.0
    assert main(["sing", str(path), "--voice", "tenor", "--quiet"]) == 0
    assert soundfile.info(tmp_path / "song_sung.wav").frames == round(3.5 * 44100)


def test_only_the_melody_of_a_midi_file_is_sung(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(EXAMPLE), "--style", "waltz", "--csv", "--out-dir", str(tmp_path), "--quiet"]) == 0
    words = "Twinkle twinkle little star how I wonder what you are"
    for name in ("twinkle_piano.mid", "twinkle_piano.csv"):
        assert main(["sing", str(tmp_path / name), "--lyrics", words, "--overwrite"]) == 0
        captured = capsys.readouterr()
        assert "14 notes in 8.79 s" in captured.out, "as long as the recording"
        assert captured.err == ""


def test_the_melody_of_a_band_is_found_in_its_files(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    options = ["--accompany", "band", "--no-audio", "--csv", "--musicxml", "--out-dir", str(tmp_path), "--quiet"]
    assert main(["convert", str(EXAMPLE), *options]) == 0
    for ending in ("mid", "csv", "musicxml"):  # the score has chord symbols in the melody's part
        melody = read_melody_file(tmp_path / f"twinkle_piano.{ending}")
        keys = [round(note.pitch) for note in melody.notes]
        assert keys == [62, 62, 69, 69, 71, 71, 69, 67, 67, 66, 66, 64, 64, 62], ending


def test_words_without_letters_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "tune.csv"
    table.write_text(TABLE)
    assert main(["sing", str(table), "--lyrics", "99 red bal-loons !"]) == 0
    assert "without letters and not sung: 99\n" in capsys.readouterr().err


def test_a_melody_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "hum.wav"
    recording.write_bytes(EXAMPLE.read_bytes())
    assert main(["sing", str(recording), "--lyrics", "la", "-o", str(recording), "--overwrite"]) == 1
    assert f"the output would replace {recording}" in capsys.readouterr().err
    assert recording.read_bytes() == EXAMPLE.read_bytes()
