"""Folders of the user as corpora."""

from __future__ import annotations

import pytest

from hf_model.config import ConfigError
from hf_model.corpora import own
from hf_model.corpora.catalogue import CORPORA, DownloadSettings, read
from hf_model.corpora.corpus import Corpus
from hf_model.corpora.download import FetchError, download
from hf_model.corpora.records import CorpusError


def fill(folder, *names, label="0.5 1.0 60\n"):
    for name in names:
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF" + name.encode())
        path.with_suffix(".txt").write_text(label, encoding="utf-8")
    return folder


def register(monkeypatch, folder, labels="txt"):
    files = own.own_files(folder, labels)
    digest = own.digest_files(folder, files)
    entry = Corpus("mine", "", "", "", "own", "voice with notes", "", folder=str(folder), labels=labels, digest=digest)
    monkeypatch.setitem(CORPORA, "mine", entry)
    return entry


def test_folders_are_singers(tmp_path, monkeypatch):
    register(monkeypatch, fill(tmp_path / "mine", "anna/one", "anna/two", "three"))
    records = list(read("mine", tmp_path))
    assert [(one.pair_id, one.singer) for one in records] == [
        ("anna-one", "mine-anna"),
        ("anna-two", "mine-anna"),
        ("three", "mine-three"),
    ]
    assert all((one.licence, len(one.notes), one.measure_only) == ("own", 1, False) for one in records)


def test_a_score_has_no_times_of_the_recording(tmp_path, monkeypatch, make_midi):
    folder = fill(tmp_path / "mine", "one")
    make_midi(folder / "one.mid", {"voice": [(0, 1, 60)]})
    register(monkeypatch, folder, "score")
    (record,) = read("mine", tmp_path)
    assert record.notes is None
    assert [note.pitch for note in record.score] == [60.0]


def test_recordings_alone_have_no_notes(tmp_path, monkeypatch):
    register(monkeypatch, fill(tmp_path / "mine", "one"), "none")
    (record,) = read("mine", tmp_path)
    assert (record.notes, record.score) == (None, None)


def test_missing_labels_are_named(tmp_path):
    folder = fill(tmp_path / "mine", "one")
    with pytest.raises(CorpusError, match=r"one\.wav: no one\.csv beside it"):
        own.own_files(folder, "csv")
    with pytest.raises(CorpusError, match="no <name>_voice"):
        own.own_files(folder, "piano")
    with pytest.raises(CorpusError, match="no recordings there"):
        own.own_files(tmp_path / "empty", "none")


def test_files_are_copied_and_changes_are_noticed(tmp_path, monkeypatch):
    folder = fill(tmp_path / "songs", "anna/one")
    register(monkeypatch, folder)
    settings = DownloadSettings(corpora=("mine",))
    fetched = download(settings, tmp_path / "raw", tmp_path / "cache")
    assert fetched["mine"].files == 2
    assert (tmp_path / "raw" / "mine" / "anna" / "one.wav").read_bytes() == b"RIFFanna/one"
    (folder / "anna" / "one.txt").write_text("0.5 1.0 61\n", encoding="utf-8")
    with pytest.raises(FetchError, match=r"have changed; run: python -m stages\.corpus add"):
        download(settings, tmp_path / "raw", tmp_path / "cache")


def test_an_unknown_corpus_is_still_refused():
    with pytest.raises(ConfigError, match="mine"):
        DownloadSettings(corpora=("mine",))
