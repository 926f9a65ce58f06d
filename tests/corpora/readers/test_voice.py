"""Readers of voices: small files in the published layouts, and real ones if there is a mirror."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pretty_midi
import pytest
import soundfile

from hf_model.corpora import catalogue
from hf_model.corpora.readers.voice import read_vocadito, ssvd_singer
from hf_model.corpora.records import CorpusError
from hf_model.notes.note import Note


def write(path, text="", audio=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if audio:
        soundfile.write(str(path), np.zeros(800, dtype=np.float32), 8000)
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def ssvd(tmp_path):
    for name, rows in (("313", "0.05\t0.50\t60.10\n0.75\t1.40\t59.05\n"), ("1252", "0.1 0.2 50\n")):
        write(tmp_path / f"ssvd/train&valid/{name}.txt", rows)
        write(tmp_path / f"ssvd/train&valid/{name}.flac", audio=True)
    return tmp_path


def test_ssvd_rows_are_onset_offset_pitch(ssvd):
    first, second = sorted(catalogue.read("ssvd", ssvd), key=lambda record: record.licence)
    assert first.pair_id == "313"
    assert first.notes == [Note(0.05, 0.5, 60.1), Note(0.75, 1.4, 59.05)]
    assert first.audio_path == ssvd / "ssvd/train&valid/313.flac"
    assert (first.licence, second.licence) == ("MIT", "unstated")
    assert not first.measure_only


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("0.5 0.4 60", "313.txt: note must have offset > onset"),
        ("0.5 0.9", "313.txt, line 1: 2 columns, expected 3"),
        ("0.5 0.9 do", "313.txt, line 1: could not convert"),
        ("0.5 0.9 160", "313.txt: pitch is 160.0, allowed is 0 to 127"),
    ],
)
def test_wrong_row_is_reported(ssvd, row, error):
    write(ssvd / "ssvd/train&valid/313.txt", row)
    with pytest.raises(CorpusError, match=error):
        list(catalogue.read("ssvd", ssvd))


def test_labels_without_recording_are_reported(ssvd):
    (ssvd / "ssvd/train&valid/313.flac").unlink()
    with pytest.raises(CorpusError, match=r"313\.flac: missing, but 313\.txt exists"):
        list(catalogue.read("ssvd", ssvd))


def test_missing_corpus_is_reported(tmp_path):
    with pytest.raises(CorpusError, match=r"ssvd.*: no \*\.txt there; run the download stage"):
        list(catalogue.read("ssvd", tmp_path))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1201", "1230", True),
        ("1075", "1344", True),  # one quiet room
        ("1197", "1344", True),
        ("407", "424", True),
        ("313", "407", False),
        ("1198", "1201", False),
        ("1252", "1230", False),
        ("3221", "4193", False),
        ("man1_twinkle", "man1_butterfly", True),
        ("man6_1_twinkle", "man6_twinkle", True),
        ("man1_twinkle", "man2_schoolbell", False),
    ],
)
def test_recordings_of_one_singer_share_a_group(one, other, same):
    assert (ssvd_singer(one) == ssvd_singer(other)) == same


def test_hust_solfege_uses_piano_keys_and_ssvd_audio(ssvd):
    header = "onset\toffset\tpitch\n"
    write(ssvd / "hust_solfege/onset&pitch/313.txt", header + "0.05\t0.08\t40.1\n0.75\t0.78\t39.05\n")
    write(ssvd / "hust_solfege/onset&pitch/999.txt", header + "0.05\t0.08\t40\n")  # its audio is not in ssvd
    write(ssvd / "hust_solfege/alignment/313.txt", "ground_note\t score_note\n40.1\t40\n39.05\t39\n")
    (record,) = catalogue.read("hust_solfege", ssvd)
    assert record.audio_path == ssvd / "ssvd/train&valid/313.flac"
    assert record.singer == "ssvd-300"
    # Offsets are not published: each note lasts until the next.
    assert record.notes == [Note(0.05, 0.75, 60.1), Note(0.75, 1.25, 59.05)]
    assert record.score == [Note(0.0, 0.5, 60.0), Note(0.5, 1.0, 59.0)]


def test_hust_solfege_recordings_from_marg_use_midi_numbers(ssvd):
    write(ssvd / "ssvd/train&valid/man1_twinkle.flac", audio=True)
    write(ssvd / "hust_solfege/onset&pitch/man1_twinkle.txt", "onset\toffset\tpitch\n0.1\t0.13\t48\n")
    (record,) = catalogue.read("hust_solfege", ssvd)
    assert record.notes[0].pitch == 48
    assert record.score is None


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_csd_reads_notes_and_score(tmp_path, kind):
    home = tmp_path / "csd/english"
    write(home / "csv/en001a.csv", "start,end,pitch,syllable\n2.4000,2.8687,58,ei\n3.0188,3.5625,65,b_ii\n")
    write(home / f"{kind}/en001a.{kind}", "sound")
    score = pretty_midi.PrettyMIDI()
    score.instruments.append(pretty_midi.Instrument(0))
    score.instruments[0].notes.append(pretty_midi.Note(100, 58, 2.4, 2.9))
    (home / "mid").mkdir()
    score.write(str(home / "mid/en001a.mid"))
    (record,) = catalogue.read("csd", tmp_path)
    assert record.notes == [Note(2.4, 2.8687, 58.0), Note(3.0188, 3.5625, 65.0)]
    assert [note.pitch for note in record.score] == [58]
    assert record.audio_path.suffix == f".{kind}"
    assert record.measure_only
    assert record.licence == "CC BY-NC-SA 4.0"


def test_csd_without_audio_is_reported(tmp_path):
    write(tmp_path / "csd/korean/csv/kr001a.csv", "start,end,pitch,syllable\n1,2,60,a\n")
    with pytest.raises(CorpusError, match=r"kr001a\.wav: missing \(and no mp3 of it\)"):
        list(catalogue.read("csd", tmp_path))


def test_vocadito_notes_and_singers(tmp_path):
    home = tmp_path / "vocadito"
    write(
        home / "vocadito_metadata.csv", "track_id,singer_id,average_pitch,language\n1,S3,60,English\n2,S3,60,English\n"
    )
    for number in (1, 2):
        write(home / f"Audio/vocadito_{number}.wav", audio=True)
    write(home / "Annotations/Notes/vocadito_1_notesA1.csv", "0.5,440.0,0.25\n1.0,220.0,0.5\n")
    write(home / "Annotations/Notes/vocadito_1_notesA2.csv", "0.5,880.0,0.25\n")
    first, second = catalogue.read("vocadito", tmp_path)
    assert first.notes == [Note(0.5, 0.75, 69.0), Note(1.0, 1.5, 57.0)]
    assert second.notes is None
    assert first.singer == second.singer == "vocadito-S3"
    assert first.measure_only
    assert next(read_vocadito(tmp_path, "A2")).notes == [Note(0.5, 0.75, 81.0)]


def test_vocadito_without_metadata_has_one_singer_per_clip(tmp_path):
    for number in (1, 2):
        write(tmp_path / f"vocadito/Audio/vocadito_{number}.wav", audio=True)
    first, second = catalogue.read("vocadito", tmp_path)
    assert first.singer != second.singer


@pytest.mark.data
def test_real_ssvd_and_hust_solfege(mirror):
    voices = list(catalogue.read("ssvd", mirror))
    assert len(voices) == 66
    assert Counter(record.licence for record in voices) == {"MIT": 62, "unstated": 4}
    assert sum(len(record.notes) for record in voices) == 3321
    scores = {record.pair_id: record for record in catalogue.read("hust_solfege", mirror)}
    assert len(scores) == 62
    assert sum(record.score is not None for record in scores.values()) == 20
    singers = {record.pair_id: record.singer for record in voices}
    assert all(singers[name] == record.singer for name, record in scores.items())
    # The two label sets agree: the shift by 20 is right.
    by_name = {record.pair_id: record for record in voices}
    differences = [
        sung.pitch - labelled.pitch
        for name, record in scores.items()
        if len(record.notes) == len(by_name[name].notes)
        for sung, labelled in zip(by_name[name].notes, record.notes, strict=True)
    ]
    assert abs(np.median(differences)) < 0.01


@pytest.mark.data
def test_real_csd_and_vocadito(mirror):
    (take,) = catalogue.read("csd", mirror)
    assert len(take.notes) == len(take.score) == 86
    assert [record.pair_id for record in catalogue.read("vocadito", mirror)] == ["vocadito_10", "vocadito_14"]
