"""The test split is rendered through the same inference as a user's file, and every wav has the right length."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import soundfile

from hf_model.alignment.manifest import Pair, piano_path, voice_path, write_manifest
from hf_model.evaluation import render_test_set
from hf_model.evaluation.render_test_set import (
    RenderError,
    RenderSettings,
    pairs_of_test_split,
    read_listing,
    render_split,
    spread,
)
from hf_model.files import write_json
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note
from hf_model.notes.note_files import read_csv
from hf_model.shards.manifest import ShardError, read_shard_manifest
from hf_model.shards.writer import StftSettings, write_shards
from tests.fakes import tone_models, tones

RATE = 22050


@pytest.fixture
def aligned(tmp_path, monkeypatch):
    """Three pairs to measure on and one to train on; fake models."""
    monkeypatch.setattr(render_test_set, "_models", lambda _: tone_models())
    folder = tmp_path / "data" / "aligned"
    pairs = []
    for name, role in (("a", "measure"), ("b", "measure"), ("c", "measure"), ("d", "train")):
        voice = tones([60, 64], RATE)[: 17_000 + len(pairs)]  # lengths that do not divide
        notes = (Note(0.1, 0.4, 60.0), Note(0.5, 0.75, 64.0))
        pair = Pair(name, "made", f"singer {name}", "CC0", role, len(voice), RATE, notes)
        for path in (voice_path(folder, "made", name), piano_path(folder, "made", name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(voice_path(folder, "made", name), voice, RATE)
        soundfile.write(piano_path(folder, "made", name), np.zeros(pair.piano_n_samples), 44100)
        pairs.append(pair)
    write_manifest(folder / "made" / "manifest.parquet", pairs)
    (tmp_path / "data" / "stft").mkdir()
    write_shards(folder, tmp_path / "data" / "stft", StftSettings(valid_fraction=0.0, test_fraction=0.0))
    return folder


def render(aligned, **settings):
    out = aligned.parent / "rendered"
    return out, render_split(
        aligned, aligned.parent / "stft", aligned.parent / "model", out, RenderSettings(**settings)
    )


def test_every_file_exists_and_is_as_long_as_the_voice(aligned):
    out, items = render(aligned, sounds=("sampled", "neural"))
    assert [item.pair_id for item in items] == ["a", "b", "c"]
    for item in items:
        voice = soundfile.info(item.voice)
        for sound in ("sampled", "neural", "labels"):
            wav = soundfile.info(item.path(out, f"_{sound}.wav"))
            assert wav.frames == item.n_samples == math.floor(voice.frames * 44100 / voice.samplerate + 0.5)
        notes, keys = read_csv(item.path(out, ".csv"))
        assert [key.pitch for key in keys] == [60, 64]
        assert [note.pitch for note in read_midi(item.path(out, ".mid"))] == [60, 64]
        assert notes[0].onset == pytest.approx(0.1, abs=0.02)


def test_the_listing_is_read_back(aligned):
    out, items = render(aligned, sounds=("sampled",), max_files=2)
    assert [item.pair_id for item in items] == ["a", "c"]
    assert read_listing(out) == items


def test_a_damaged_listing_is_named(tmp_path):
    with pytest.raises(RenderError, match=r"recordings\.json.*dvc repro --force render"):
        read_listing(tmp_path)
    (tmp_path / "recordings.json").write_text(json.dumps([{"corpus": 3}]), encoding="utf-8")
    with pytest.raises(RenderError, match=r"recordings\.json"):
        read_listing(tmp_path)


def test_the_direct_baseline_is_rendered(aligned, monkeypatch):
    class Silence:
        def render(self, voice, n_samples):
            assert voice.ndim == 1
            return np.zeros((1, n_samples), dtype=np.float32)

    monkeypatch.setattr(render_test_set, "_direct", lambda _: Silence())
    out, items = render(aligned, sounds=("direct",), max_files=1)
    assert not np.any(soundfile.read(items[0].path(out, "_direct.wav"))[0])


def test_a_broken_shard_is_named(aligned):
    shard = next((aligned.parent / "stft" / "test").glob("*.parquet"))
    shard.write_bytes(b"nothing")
    with pytest.raises(ShardError, match=shard.name):
        pairs_of_test_split(aligned, aligned.parent / "stft")


def test_nothing_to_render(aligned):
    manifest = read_shard_manifest(aligned.parent / "stft")
    others = [entry for entry in manifest["files"] if entry["split"] != "test"]
    write_json(aligned.parent / "stft" / "manifest.json", manifest | {"files": others})
    with pytest.raises(RenderError, match="no recording in the test split"):
        render(aligned)


def test_missing_shards_end_the_stage(aligned):
    for shard in (aligned.parent / "stft" / "test").glob("*.parquet"):
        shard.unlink()
        with pytest.raises(ShardError, match=rf"{shard.name}: is missing; rebuild it: dvc repro --force stft"):
            render(aligned)


def test_unlabelled_recordings_are_rendered_as_well(aligned, monkeypatch):
    from hf_model.corpora.records import VoiceRecord

    with pytest.raises(RenderError, match="add it to download"):
        render(aligned, sounds=("sampled",), unlabelled=("vocadito",))
    voice = aligned.parent / "raw" / "vocadito" / "x.wav"
    voice.parent.mkdir(parents=True)
    soundfile.write(voice, tones([67]), 16000)
    record = VoiceRecord("vocadito", "x", "singer", "CC BY 4.0", voice)
    monkeypatch.setattr("hf_model.corpora.catalogue.read", lambda name, raw: iter([record]))  # noqa: ARG005
    out, items = render(aligned, sounds=("sampled", "neural"), unlabelled=("vocadito",))
    assert items[-1].corpus == "vocadito"
    assert items[-1].notes == ()
    assert not items[-1].path(out, "_labels.wav").exists()


def test_spread_takes_both_ends():
    assert spread(list("abcde"), 3) == ["a", "c", "e"]
    assert spread(list("abcde"), 0) == list("abcde")
    assert spread([], 2) == []


@pytest.mark.parametrize("wrong", [{"sounds": ("organ",)}, {"min_note": -1.0}, {"max_files": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RenderSettings(**wrong)
