import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.export.rendition import Rendition
from hf_model.inference import convert
from hf_model.music.arrangement import Arrangement
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv
from hf_model.piano.performance import Performance
from tests.fakes import tone_models, tones

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
