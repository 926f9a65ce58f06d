"""Pianos, drums and other instruments: files made in the published layouts."""

from __future__ import annotations

import json

import pytest

from hf_model.corpora import catalogue
from hf_model.corpora.records import CorpusError
from hf_model.notes.note import Note

MAESTRO_ROW = {
    "canonical_composer": "Alban Berg",
    "canonical_title": "Sonata Op. 1",
    "split": "train",
    "year": 2018,
    "midi_filename": "2018/take_one.midi",
    "audio_filename": "2018/take_one.wav",
    "duration": 698.66,
}


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(params=["csv", "json"])
def maestro(tmp_path, request, make_midi):
    home = tmp_path / "maestro"
    if request.param == "csv":
        table = ",".join(MAESTRO_ROW) + "\n" + ",".join(map(str, MAESTRO_ROW.values())) + "\n"
    else:
        table = json.dumps({column: {"0": value} for column, value in MAESTRO_ROW.items()})
    touch(home / f"maestro-v3.0.0.{request.param}", table)
    make_midi(home / "2018/take_one.midi", {"Piano": [(0, 1, 60)]})
    touch(home / "2018/take_one.wav")
    return tmp_path


def test_maestro_pairs_midi_and_audio(maestro):
    (record,) = catalogue.read("maestro", maestro)
    assert (record.pair_id, record.split, record.duration) == ("take_one", "train", 698.66)
    assert record.licence == "CC BY-NC-SA 4.0"
    assert record.audio_path.is_file()
    assert record.midi_path.is_file()


def test_maestro_without_its_audio(maestro):
    (maestro / "maestro/2018/take_one.wav").unlink()
    assert next(catalogue.read("maestro", maestro)).audio_path is None


def test_maestro_without_a_midi_file_is_reported(maestro):
    (maestro / "maestro/2018/take_one.midi").unlink()
    with pytest.raises(CorpusError, match=r"take_one\.midi: missing"):
        list(catalogue.read("maestro", maestro))


@pytest.mark.parametrize("name", ["maestro", "nsynth", "groove", "openmic"])
def test_missing_corpus_is_reported(tmp_path, name):
    with pytest.raises(CorpusError, match="run the download stage, or check the mirror"):
        list(catalogue.read(name, tmp_path))


def test_missing_column_is_reported(tmp_path):
    touch(tmp_path / "groove/info.csv", "drummer,id,audio_filename,split\n")
    with pytest.raises(CorpusError, match=r"info\.csv: column 'midi_filename' is missing"):
        list(catalogue.read("groove", tmp_path))


@pytest.fixture
def nsynth(tmp_path):
    for split, name, family, source in (
        ("train", "keyboard_acoustic_004-060-025", "keyboard", "acoustic"),
        ("test", "bass_synthetic_068-049-127", "bass", "synthetic"),
    ):
        pitch, velocity = (int(part) for part in name.split("-")[1:])
        example = {
            "note_str": name,
            "pitch": pitch,
            "velocity": velocity,
            "instrument_family_str": family,
            "instrument_source_str": source,
            "sample_rate": 16000,
        }
        touch(tmp_path / f"nsynth/nsynth-{split}/examples.json", json.dumps({name: example}))
        touch(tmp_path / f"nsynth/nsynth-{split}/audio/{name}.wav")
    return tmp_path


def test_nsynth_notes_last_three_seconds(nsynth):
    piano, bass = catalogue.read("nsynth", nsynth)
    assert (piano.instruments, piano.split) == (("keyboard_acoustic",), "train")
    assert piano.notes == [Note(0.0, 3.0, 60.0, 25)]
    assert (bass.instruments, bass.split) == (("bass_synthetic",), "test")
    assert bass.audio_path.name == "bass_synthetic_068-049-127.wav"


def test_nsynth_missing_audio_and_broken_table_are_reported(nsynth):
    (nsynth / "nsynth/nsynth-test/audio/bass_synthetic_068-049-127.wav").unlink()
    with pytest.raises(CorpusError, match=r"bass_synthetic_068-049-127\.wav: missing"):
        list(catalogue.read("nsynth", nsynth))
    touch(nsynth / "nsynth/nsynth-train/examples.json", "{half")
    with pytest.raises(CorpusError, match=r"examples\.json: not valid JSON"):
        list(catalogue.read("nsynth", nsynth))


def test_groove_takes_may_lack_audio(tmp_path, make_midi):
    home = tmp_path / "groove"
    touch(
        home / "info.csv",
        "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"
        "drummer1,d/s1,drummer1/session1/1,funk,138,beat,4-4,drummer1/1.mid,drummer1/1.wav,27.87,train\n"
        "drummer1,d/s1,drummer1/session1/2,rock,90,fill,4-4,drummer1/2.mid,,2.5,test\n",
    )
    for number in (1, 2):
        make_midi(home / f"drummer1/{number}.mid", {}, drums=[("Kit", [(0, 0.1, 36)])])
    touch(home / "drummer1/1.wav")
    first, second = catalogue.read("groove", tmp_path)
    assert (first.pair_id, first.instruments, first.split) == ("drummer1-session1-1", ("drums",), "train")
    assert first.audio_path.is_file()
    assert second.audio_path is None
    assert second.midi_path.is_file()
    second.midi_path.unlink()
    with pytest.raises(CorpusError, match=r"2\.mid: missing"):
        list(catalogue.read("groove", tmp_path))


def test_openmic_instruments_splits_and_licences(tmp_path):
    home = tmp_path / "openmic"
    touch(
        home / "openmic-2018-aggregated-labels.csv",
        "sample_key,instrument,relevance,num_responses\n"
        "000046_3840,piano,0.9,3\n000046_3840,voice,0.5,3\n000046_3840,drums,0.2,3\n000135_0,flute,0.1,3\n",
    )
    touch(home / "openmic-2018-metadata.csv", "sample_key,license_title\n000046_3840,Attribution\n000135_0,\n")
    touch(home / "partitions/split01_train.csv", "000046_3840\n")
    touch(home / "partitions/split01_test.csv", "000135_0\n")
    for name in ("000046_3840", "000135_0"):
        touch(home / f"audio/000/{name}.ogg")
    first, second = catalogue.read("openmic", tmp_path)
    assert (first.instruments, first.licence, first.split) == (("piano", "voice"), "Attribution", "train")
    assert (second.instruments, second.licence, second.split) == ((), "CC, each recording its own", "test")
    first.audio_path.unlink()
    with pytest.raises(CorpusError, match=r"000046_3840\.ogg: missing"):
        list(catalogue.read("openmic", tmp_path))
