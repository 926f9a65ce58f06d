"""Readers of scores: small files in the published layouts, and real pop909 if there is a mirror."""

from __future__ import annotations

import io
import itertools
import json
import zipfile

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from hf_model.corpora import catalogue
from hf_model.corpora.readers.scores import read_lakh_pianoroll, read_pop909
from hf_model.corpora.records import CorpusError, Span


@pytest.fixture
def pop909(tmp_path, make_midi):
    home = tmp_path / "pop909/POP909/001"
    tracks = {"MELODY": [(1.0, 1.5, 66)], "BRIDGE": [], "PIANO": [(0.0, 1.0, 42), (0.0, 1.0, 54)]}
    make_midi(home / "001.mid", tracks)
    (home / "beat_midi.txt").write_text("0.055 1.0 1.0\n0.722 0.0 0.0\n")
    (home / "chord_midi.txt").write_text("0.055\t0.722\tN\n0.722\t2.055\tGb:maj\n")
    (home / "key_audio.txt").write_text("2.67\t191.98\tGb:maj\n")
    return tmp_path


def test_pop909_melody_with_beats_chords_and_key(pop909):
    (record,) = catalogue.read("pop909", pop909)
    assert (record.pair_id, record.licence, record.key, record.singer) == ("001", "MIT", "Gb:maj", None)
    assert [note.pitch for note in record.notes] == [66]
    assert record.beats.tolist() == [0.055, 0.722]
    assert record.chords == [Span(0.055, 0.722, "N"), Span(0.722, 2.055, "Gb:maj")]


def test_pop909_other_tracks_on_request(pop909):
    (record,) = read_pop909(pop909, "PIANO")
    assert record.pair_id == "001-piano"
    assert [note.pitch for note in record.notes] == [42, 54]
    assert list(read_pop909(pop909, "BRIDGE")) == []
    with pytest.raises(CorpusError, match="track is 'BASS', allowed is one of MELODY, BRIDGE, PIANO"):
        next(read_pop909(pop909, "BASS"))


@pytest.mark.parametrize(("name", "text"), [("chord_midi.txt", "0.1 nine N"), ("beat_midi.txt", "first 1.0")])
def test_broken_pop909_table_is_reported(pop909, name, text):
    (pop909 / "pop909/POP909/001" / name).write_text(text)
    with pytest.raises(CorpusError, match=name):
        list(catalogue.read("pop909", pop909))


def test_lakh_midi_reads_melody_tracks_only(tmp_path, make_midi):
    home = tmp_path / "lakh_midi/lmd_full"
    make_midi(home / "0/0a.mid", {"Bass": [(0, 1, 40)], "Lead vocal": [(0, 1, 60), (0, 1, 64), (1, 2, 62)]}, key=0)
    make_midi(home / "f/fb.mid", {"Bass": [(0, 1, 40)]})
    (home / "f/fc.mid").write_bytes(b"broken, as some are")
    (record,) = catalogue.read("lakh_midi", tmp_path)
    assert (record.pair_id, record.licence, record.key) == ("0a", "CC BY 4.0", "C Major")
    assert [note.pitch for note in record.notes] == [64, 62]
    assert record.beats[0] == 0


def write_pianoroll(path, tracks, tempo, resolution_key="beat_resolution"):
    """Write a file like pypianoroll: sparse columns as .npy members, and info.json."""
    info = {resolution_key: 24, "name": path.stem}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"tempo": np.asarray(tempo, dtype=np.float64), "downbeat": np.zeros(1, dtype=bool)}
    for number, (name, roll) in enumerate(tracks.items()):
        info[str(number)] = {"name": name, "program": 0, "is_drum": name == "Drums"}
        sparse = csc_matrix(roll)
        for part in ("data", "indices", "indptr"):
            arrays[f"pianoroll_{number}_csc_{part}"] = getattr(sparse, part)
        arrays[f"pianoroll_{number}_csc_shape"] = np.array(roll.shape)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{name}.npy", buffer.getvalue())
        archive.writestr("info.json", json.dumps(info))


@pytest.fixture
def pianoroll(tmp_path):
    piano, drums = np.zeros((96, 128), dtype=np.uint8), np.zeros((96, 128), dtype=np.uint8)
    piano[0:24, 60] = 100  # one beat
    piano[0:24, 48] = 90  # below it
    piano[25:96, 62] = 80  # to the very end
    drums[0, 36] = drums[48, 36] = 127
    path = tmp_path / "lakh_pianoroll/lpd_5/lpd_5_cleansed/A/A/A/TRAAAGR128F425B14B/b97c.npz"
    return tmp_path, path, {"Drums": drums, "Piano": piano}


@pytest.mark.parametrize("resolution_key", ["beat_resolution", "resolution"])
def test_lakh_pianoroll_steps_become_seconds(pianoroll, resolution_key):
    raw, path, tracks = pianoroll
    write_pianoroll(path, tracks, np.full(96, 120.0), resolution_key)
    (record,) = catalogue.read("lakh_pianoroll", raw)
    assert record.pair_id == "b97c"
    step = 0.5 / 24
    assert [(note.pitch, note.velocity) for note in record.notes] == [(60, 100), (62, 80)]
    assert [note.onset for note in record.notes] == pytest.approx([0, 25 * step])
    assert [note.offset for note in record.notes] == pytest.approx([24 * step, 96 * step])
    assert record.beats == pytest.approx([0, 0.5, 1.0, 1.5])


def test_lakh_pianoroll_follows_a_change_of_tempo(pianoroll):
    raw, path, tracks = pianoroll
    write_pianoroll(path, tracks, np.repeat([120.0, 60.0], 48))
    (record,) = catalogue.read("lakh_pianoroll", raw)
    assert record.notes[-1].offset == pytest.approx(1.0 + 2.0)
    assert record.beats == pytest.approx([0, 0.5, 1.0, 2.0])


def test_lakh_pianoroll_with_one_tempo_for_all(pianoroll):
    raw, path, tracks = pianoroll
    write_pianoroll(path, tracks, [60.0])
    assert next(catalogue.read("lakh_pianoroll", raw)).notes[-1].offset == pytest.approx(4.0)


def test_lakh_pianoroll_other_tracks_on_request(pianoroll):
    raw, path, tracks = pianoroll
    write_pianoroll(path, tracks, np.full(96, 120.0))
    (record,) = read_lakh_pianoroll(raw, "Drums")
    assert [note.pitch for note in record.notes] == [36, 36]
    assert list(read_lakh_pianoroll(raw, "Guitar")) == []
    with pytest.raises(CorpusError, match="track is 'Flute'"):
        next(read_lakh_pianoroll(raw, "Flute"))


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_broken_pianoroll_is_reported(pianoroll, content):
    raw, path, _ = pianoroll
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"b97c\.npz: not a piano roll"):
        list(catalogue.read("lakh_pianoroll", raw))


def test_vgmidi_joins_labels_by_piece(tmp_path, make_midi):
    home = tmp_path / "vgmidi"
    make_midi(home / "labelled/midi/Game_N64_Castle.mid", {"p": [(0, 1, 60), (0, 1, 72)]})
    make_midi(home / "labelled/midi/Game_N64_Map_2.mid", {"p": [(0, 1, 61)]})
    make_midi(home / "unlabelled/Other_Theme.mid", {"p": [(0, 1, 62)]})
    make_midi(home / "labelled/phrases/Game_N64_Castle_0.mid", {"p": [(0, 1, 63)]})
    (home / "vgmidi_labelled.csv").write_text(
        "id,series,console,game,piece,midi,valence,arousal\n"
        "1,Game,N64,Game,Castle,labelled/phrases/Game_N64_Castle_0.mid,1,-1\n"
        "2,Game,N64,Game,Map,labelled/midi/Game_N64_Map_2.mid,-1,1\n"
    )
    records = {record.pair_id: record for record in catalogue.read("vgmidi", tmp_path)}
    assert set(records) == {"Game_N64_Castle", "Game_N64_Map_2", "Other_Theme"}
    assert records["Game_N64_Castle"].labels == {"valence": 1, "arousal": -1}
    assert records["Game_N64_Map_2"].labels == {"valence": -1, "arousal": 1}
    assert records["Other_Theme"].labels == {}
    assert [note.pitch for note in records["Game_N64_Castle"].notes] == [72]
    (home / "vgmidi_labelled.csv").write_text("id,midi,valence,arousal\n1,a.mid,high,0\n")
    with pytest.raises(CorpusError, match=r"vgmidi_labelled\.csv, line 2"):
        list(catalogue.read("vgmidi", tmp_path))


@pytest.mark.data
def test_real_pop909(mirror):
    records = list(itertools.islice(catalogue.read("pop909", mirror), 5))
    assert [record.pair_id for record in records] == ["001", "002", "003", "004", "005"]
    for record in records:
        assert len(record.notes) > 50
        assert len(record.beats) > 50
        assert record.key
        assert record.chords
