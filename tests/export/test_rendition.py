import base64
import io
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.config import ConfigError
from hf_model.export.musicxml import MusicXMLError
from hf_model.export.outputs import ENDINGS
from hf_model.export.rendition import Rendition
from hf_model.inference import convert
from hf_model.music.arrangement import Arrangement
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv, read_score
from hf_model.piano.performance import Performance
from tests.fakes import curve_models, tone_models, tones

MELODY = [60, 64, 67]


@pytest.fixture(scope="module")
def rendition() -> Rendition:
    asked = Arrangement(tempo=96.0)
    return convert(
        tones(MELODY),
        16000,
        arrangement=asked,
        performance=Performance(pedal=True),
        source="voice",
        models=tone_models(),
    )


def test_the_files_have_the_audio_and_the_notes(rendition: Rendition, tmp_path: Path) -> None:
    paths = rendition.save(tmp_path / "new", "verse")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"verse.wav", "verse.mid", "verse.csv"}
    np.testing.assert_allclose(soundfile.read(paths["wav"])[0], rendition.audio[0], atol=1e-4)
    assert [note.pitch for note in read_midi(paths["midi"])] == MELODY
    assert [key.pitch for key in read_csv(paths["csv"])[1]] == MELODY


def test_existing_files_are_kept_unless_asked(rendition: Rendition, tmp_path: Path) -> None:
    (tmp_path / "piano.csv").write_text("precious")
    with pytest.raises(FileExistsError, match=r"piano\.csv exists; overwrite=True replaces it"):
        rendition.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["piano.csv"]
    rendition.save(tmp_path, overwrite=True)
    assert (tmp_path / "piano.csv").read_text() != "precious"


def test_all_formats_can_be_saved(tmp_path: Path) -> None:
    made = convert(tones(MELODY), 16000, source="voice", models=curve_models())
    paths = made.save(tmp_path, "verse", formats="all")
    assert set(paths) == set(ENDINGS)
    assert all(path.stat().st_size > 50 for path in paths.values())
    with pytest.raises(ConfigError, match="format is 'mp3'"):
        made.save(tmp_path / "new", formats=["midi", "mp3"])
    assert not (tmp_path / "new").exists()


def test_the_home_folder_is_known(rendition: Rendition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rendition.save("~/a", formats="midi") == {"midi": tmp_path / "a" / "piano.mid"}
    soundfile.write(tmp_path / "hum.wav", tones(MELODY), 16000)
    for path in ("~/hum.wav", Path("~/hum.wav"), tmp_path / "hum.wav"):
        made = convert(path, source="voice", models=tone_models())
        assert [note.pitch for note in made.piano_notes] == MELODY


def test_what_was_saved_is_rendered_to_the_same_length(rendition: Rendition, tmp_path: Path) -> None:
    for path in rendition.save(tmp_path, formats=("midi", "csv")).values():
        assert round(44100 * (read_score(path).duration or 0)) == rendition.audio.shape[1]


def test_a_score_of_music21(rendition: Rendition, monkeypatch: pytest.MonkeyPatch) -> None:
    score = rendition.to_music21("Three tones")
    assert [pitch.midi for pitch in score.stripTies().flatten().pitches] == MELODY
    assert score.metadata.title == "Three tones"
    monkeypatch.setattr("hf_model.export.musicxml.find_spec", lambda _: None)
    with pytest.raises(MusicXMLError, match=r"hummingface\[score\]"):
        rendition.to_music21()


def test_a_jams_document_is_as_long_as_the_audio(rendition: Rendition) -> None:
    document = rendition.to_jams("hum")
    assert document["file_metadata"]["duration"] == rendition.duration


class Players(HTMLParser):
    """Collects the text and the sounds of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sounds: list[bytes] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "audio":
            head, data = str(dict(attrs)["src"]).split(",")
            assert head == "data:audio/mpeg;base64"
            self.sounds.append(base64.b64decode(data))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_players_of_piano_and_voice(rendition: Rendition) -> None:
    page = Players(rendition._repr_html_())
    assert page.text == f"{rendition!r}pianovoice"
    lengths = [soundfile.info(io.BytesIO(sound)).duration for sound in page.sounds]
    np.testing.assert_allclose(lengths, [1.3, 1.3], atol=0.1)  # an encoder adds some silence
    assert len(Players(replace(rendition, recording=None)._repr_html_()).sounds) == 1


def test_pretty_midi_has_notes_tempo_and_pedal(rendition: Rendition) -> None:
    midi = rendition.to_pretty_midi()
    [piano] = midi.instruments
    assert [note.pitch for note in piano.notes] == MELODY
    np.testing.assert_allclose([n.start for n in piano.notes], [n.onset for n in rendition.piano_notes], atol=1e-3)
    assert 96.0 in np.round(midi.get_tempo_changes()[1], 1)
    assert len(piano.control_changes) == 2 * len(rendition.pedals) > 0


def test_the_table_has_a_row_for_each_note(rendition: Rendition) -> None:
    pytest.importorskip("pandas")
    table = rendition.to_dataframe()
    assert list(table.columns) == ["onset", "offset", "pitch", "note", "velocity", "confidence"]
    assert list(table["note"]) == MELODY
    np.testing.assert_allclose(table["pitch"], [note.pitch for note in rendition.notes])


def test_without_pandas_the_error_names_it(rendition: Rendition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        rendition.to_dataframe()


def test_a_rendition_is_shown_in_one_line(rendition: Rendition) -> None:
    assert repr(rendition) == f"Rendition(3 notes, 1.30 s, 96 bpm, {rendition.key.name}, voice)"
