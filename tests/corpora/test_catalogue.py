"""The registry: complete, honest about licences and hashes, and every reader it names exists."""

from __future__ import annotations

import importlib
import io
import re

import pytest

from hf_model.config import ConfigError, from_mapping
from hf_model.corpora import catalogue
from hf_model.corpora.catalogue import DownloadSettings
from hf_model.corpora.corpus import PERMISSIVE
from hf_model.corpora.registry import CORPORA

PROPOSED = {"maestro", "nsynth", "lakh_midi", "lakh_pianoroll", "musedata", "vgmidi", "groove", "openmic"}
READ_HERE = {"made", "ssvd", "hust_solfege", "pop909", "vocadito", "csd"}

every_corpus = pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))


def test_every_corpus_of_the_plan_has_an_entry():
    assert set(CORPORA) == PROPOSED | READ_HERE


@every_corpus
def test_an_entry_says_what_it_is(corpus):
    assert corpus.title
    assert corpus.citation
    assert corpus.use.endswith(".")
    assert corpus.licence
    assert corpus.role in ("voice with notes", "scores", "piano", "instruments")


@every_corpus
def test_an_entry_can_be_read_and_had(corpus):
    if corpus.name == "made":
        assert not corpus.reader
        assert not corpus.archives
        return
    module, function = corpus.reader.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert bool(corpus.archives) != bool(corpus.base_url)
    assert corpus.homepage.startswith("https://")


@every_corpus
def test_what_has_no_known_hash_says_so(corpus):
    for archive in corpus.archives:
        if archive.hash is None:
            assert "hash" in corpus.note
        else:
            kind, digest = archive.hash.split(":")
            assert re.fullmatch(r"[0-9a-f]+", digest)
            assert len(digest) == {"sha256": 64, "md5": 32}[kind]
        assert archive.url or not archive.url_confirmed


@every_corpus
def test_hashes_of_files_are_whole_and_of_files_the_reader_needs_or_texts(corpus):
    hashes = corpus.hashes()
    assert bool(hashes) or not (corpus.listed or corpus.base_url)
    for path, digest in hashes.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert ".." not in path


def test_each_recording_of_ssvd_has_its_licence():
    ssvd = CORPORA["ssvd"]
    recordings = [path for path in ssvd.hashes() if path.endswith(".flac")]
    licences = [ssvd.licence_of(path) for path in recordings]
    assert (licences.count("MIT"), licences.count("unstated")) == (62, 4)
    # Permissive are just those that hust_solfege publishes too.
    labelled = {path.split("/")[-1] for path in CORPORA["hust_solfege"].hashes() if path.startswith("onset&pitch/")}
    for path, licence in zip(recordings, licences, strict=True):
        assert (path.split("/")[-1].replace(".flac", ".txt") in labelled) == (licence == "MIT")


@pytest.mark.parametrize("name", ["csd", "maestro", "musedata", "vgmidi", "openmic"])
def test_a_licence_that_is_not_permissive_must_be_accepted(name):
    licence = CORPORA[name].licence
    assert licence not in PERMISSIVE
    with pytest.raises(ConfigError, match="accept_license") as caught:
        DownloadSettings(corpora=(name,))
    assert licence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert DownloadSettings(corpora=(name,), accept_license=(licence,)).accepts(licence)


@pytest.mark.parametrize("name", sorted(READ_HERE - {"csd"}))
def test_permissive_corpora_need_nothing(name):
    assert DownloadSettings(corpora=(name,)).corpora == (name,)


def test_a_corpus_nobody_knows_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"download.corpora\[1\] is 'sssvd', allowed is one of made, ssvd"):
        from_mapping(DownloadSettings, {"corpora": ["made", "sssvd"]}, "download")


def test_a_licence_nobody_uses_is_refused():
    with pytest.raises(ConfigError, match=r"accept_license\[0\] is 'CC BY-NC 3.0', allowed is one of CC BY-NC-SA 4.0"):
        DownloadSettings(accept_license=("CC BY-NC 3.0",))


def test_made_is_made_not_read(tmp_path):
    with pytest.raises(ConfigError, match="made, not read"):
        next(catalogue.read("made", tmp_path))


def test_the_table_names_every_corpus_and_licence():
    from rich.console import Console

    page = io.StringIO()
    Console(width=400, file=page).print(catalogue.table())
    text = page.getvalue()
    for corpus in CORPORA.values():
        assert corpus.name in text
        assert corpus.licence in text
