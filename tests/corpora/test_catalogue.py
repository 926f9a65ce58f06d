"""The registry: complete entries, licences, hashes and readers."""

from __future__ import annotations

import importlib
import io
import re
from pathlib import Path

import pytest

from hf_model.config import ConfigError, from_mapping
from hf_model.corpora import catalogue
from hf_model.corpora.catalogue import CORPORA, DownloadSettings
from hf_model.corpora.corpus import PERMISSIVE

PROPOSED = {"maestro", "nsynth", "lakh_midi", "lakh_pianoroll", "musedata", "vgmidi", "groove", "openmic"}
SONGS = {"spotify_songs", "gtzan", "fma"}
READ_HERE = {"made", "ssvd", "hust_solfege", "pop909", "vocadito", "csd"}

every_corpus = pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))


def test_every_planned_corpus_has_an_entry():
    assert set(CORPORA) == PROPOSED | SONGS | READ_HERE


@every_corpus
def test_entries_are_complete(corpus):
    assert corpus.title
    assert corpus.citation
    assert corpus.use.endswith(".")
    assert corpus.licence
    assert corpus.role in ("voice with notes", "scores", "piano", "instruments", "songs")


@every_corpus
def test_entries_have_a_reader_and_a_source(corpus):
    if corpus.name == "made":
        assert not corpus.reader
        assert not corpus.archives
        return
    reader = catalogue.find_reader(corpus)
    assert callable(reader)
    assert reader.__module__ == f"hf_model.corpora.readers.{corpus.reader.split(':')[0]}"
    assert bool(corpus.archives) != bool(corpus.base_url)
    assert corpus.homepage.startswith("https://")


def test_every_reader_belongs_to_a_corpus():
    folder = Path(catalogue.__file__).parent / "readers"
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    readers = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(f"hf_model.corpora.readers.{module}")).items()
        if name.startswith("read_") and value.__module__.endswith(f".readers.{module}")
    }
    assert readers == {corpus.reader for corpus in CORPORA.values() if corpus.reader} | {"own:read_own"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lisence = 'MIT'", "unknown setting registry.toml: ours.lisence"),
        ("size = 'large'", "registry.toml: ours.size is 'large', expected int"),
        ("role = 'noise'", "registry.toml: ours.role is 'noise', allowed is one of voice with notes, scores"),
        ("archives = [{url = 'x'}]", r"missing setting registry.toml: ours.archives\[0\].name"),
        ("keep = '*.wav'", r"registry.toml: ours.keep is '\*.wav', expected tuple"),
    ],
)
def test_errors_in_the_registry_name_the_corpus(tmp_path, line, message):
    entry = {key: f"{key} = 'scores'" for key in ("title", "citation", "homepage", "licence", "role", "use")}
    entry[line.split()[0]] = line
    path = tmp_path / "registry.toml"
    path.write_text("[ours]\n" + "\n".join(entry.values()), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        catalogue.load_registry(path)


@every_corpus
def test_a_missing_hash_is_noted(corpus):
    for archive in corpus.archives:
        if archive.hash is None:
            assert "hash" in corpus.note
        else:
            kind, digest = archive.hash.split(":")
            assert re.fullmatch(r"[0-9a-f]+", digest)
            assert len(digest) == {"sha256": 64, "md5": 32}[kind]
        assert archive.url or not archive.url_confirmed


@every_corpus
def test_file_hashes_are_complete(corpus):
    hashes = corpus.hashes()
    assert bool(hashes) or not (corpus.listed or corpus.base_url)
    for path, digest in hashes.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert ".." not in path


def test_ssvd_recordings_have_their_licences():
    ssvd = CORPORA["ssvd"]
    recordings = [path for path in ssvd.hashes() if path.endswith(".flac")]
    licences = [ssvd.licence_of(path) for path in recordings]
    assert (licences.count("MIT"), licences.count("unstated")) == (62, 4)
    # Exactly those that hust_solfege publishes too are permissive.
    labelled = {path.split("/")[-1] for path in CORPORA["hust_solfege"].hashes() if path.startswith("onset&pitch/")}
    for path, licence in zip(recordings, licences, strict=True):
        assert (path.split("/")[-1].replace(".flac", ".txt") in labelled) == (licence == "MIT")


@pytest.mark.parametrize("name", ["csd", "maestro", "musedata", "vgmidi", "openmic", *sorted(SONGS)])
def test_non_permissive_licences_must_be_accepted(name):
    licence = CORPORA[name].licence
    assert licence not in PERMISSIVE
    with pytest.raises(ConfigError, match="accept_license") as caught:
        DownloadSettings(corpora=(name,))
    assert licence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert DownloadSettings(corpora=(name,), accept_license=(licence,)).accepts(licence)


@pytest.mark.parametrize("name", sorted(READ_HERE - {"csd"}))
def test_permissive_licences_need_no_acceptance(name):
    assert DownloadSettings(corpora=(name,)).corpora == (name,)


def test_unknown_corpus_is_refused_with_the_known_names():
    with pytest.raises(ConfigError, match=r"download.corpora\[1\] is 'sssvd', allowed is one of made, ssvd"):
        from_mapping(DownloadSettings, {"corpora": ["made", "sssvd"]}, "download")


def test_unknown_licence_is_refused():
    with pytest.raises(ConfigError, match=r"accept_license\[0\] is 'CC BY-NC 3.0', allowed is one of CC BY-NC-SA 4.0"):
        DownloadSettings(accept_license=("CC BY-NC 3.0",))


def test_synthetic_corpus_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="made, not read"):
        next(catalogue.read("made", tmp_path))


def test_table_lists_every_corpus_and_licence():
    from rich.console import Console

    page = io.StringIO()
    Console(width=400, file=page).print(catalogue.table())
    text = page.getvalue()
    for corpus in CORPORA.values():
        assert corpus.name in text
        assert corpus.licence in text
