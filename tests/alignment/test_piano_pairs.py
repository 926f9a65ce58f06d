"""Excerpts of recorded pianos: audio and notes of the same moment, from files in MAESTRO's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hf_model.alignment.align import AlignSettings, align
from hf_model.alignment.manifest import Pair, piano_path, read_manifest, voice_path
from hf_model.alignment.piano_pairs import PIANOS
from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT
from hf_model.audio.io import read_audio, write_audio
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.shards.writer import StftSettings, write_shards
from hf_model.training.trainer import train
from tests.tiny_shards import tiny_task

SECONDS = 20.0
NOTES = [Note(0.5 * k, 0.5 * k + 0.3, float(48 + 7 * k % 24)) for k in range(1, 39)]


@pytest.fixture
def raw(tmp_path: Path, make_midi: Callable[..., Path]) -> Path:
    """Two performances, one of them for training: tones at the pitches of the MIDI file."""
    raw = tmp_path / "raw"
    home = raw / "maestro" / "2018"
    audio = np.zeros(round(SECONDS * PIANO_SAMPLE_RATE), dtype=np.float32)
    for note in NOTES:
        first, last = (round(time * PIANO_SAMPLE_RATE) for time in (note.onset, note.offset))
        times = np.arange(last - first) / PIANO_SAMPLE_RATE
        audio[first:last] = 0.5 * np.sin(2 * np.pi * float(pitch_to_hz(note.pitch)) * times)
    rows = ["midi_filename,audio_filename,split,duration"]
    for name, split in (("one", "train"), ("two", "test")):
        make_midi(home / f"{name}.midi", {"Piano": [(n.onset, n.offset, int(n.pitch)) for n in NOTES]})
        write_audio(home / f"{name}.wav", np.stack([audio, audio]), PIANO_SAMPLE_RATE)
        rows.append(f"2018/{name}.midi,2018/{name}.wav,{split},{SECONDS}")
    (raw / "maestro" / "maestro-v3.0.0.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (raw / "corpora.json").write_text(json.dumps({"maestro": {}}), encoding="utf-8")
    return raw


def _pairs(raw: Path, folder: Path, **settings: int) -> list[Pair]:
    align(raw, folder, AlignSettings(made_seconds=5.12, **settings))
    return read_manifest(folder / PIANOS / "manifest.parquet")


def test_notes_sound_where_they_are_labelled(raw: Path, tmp_path: Path) -> None:
    pairs = _pairs(raw, tmp_path / "aligned", piano_excerpts=3)
    assert [pair.pair_id for pair in pairs] == [f"maestro-one-{number:03d}" for number in range(3)]
    for pair in pairs:
        audio, rate = read_audio(piano_path(tmp_path / "aligned", PIANOS, pair.pair_id))
        assert (audio.shape, rate) == ((1, pair.piano_n_samples), PIANO_SAMPLE_RATE)
        assert 9 <= len(pair.notes) <= 11
        for note in (note for note in pair.notes if note.duration > 0.25):
            middle = round((note.onset + 0.15) * rate)
            part = audio[0, middle - 4410 : middle + 4410]
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 16))
            peak = np.argmax(spectrum) * rate / (1 << 16)
            assert peak == pytest.approx(float(pitch_to_hz(note.pitch)), rel=0.01)


def test_the_voice_is_the_recording_and_a_piece_is_one_singer(raw: Path, tmp_path: Path) -> None:
    pairs = _pairs(raw, tmp_path / "aligned", piano_excerpts=2, score_phrases=1)
    (melody,) = read_manifest(tmp_path / "aligned" / "maestro" / "manifest.parquet")[:1]
    assert pairs[0].singer == "maestro-one" or melody.singer == "maestro-two"
    voice, rate = read_audio(voice_path(tmp_path / "aligned", PIANOS, pairs[0].pair_id))
    assert (voice.shape, rate) == ((1, pairs[0].n_samples), VOICE_STFT.sample_rate)
    assert np.abs(voice).max() > 0.4
    assert pairs[0].licence == "CC BY-NC-SA 4.0"


def test_nothing_is_cut_from_midi_alone_or_short_recordings(raw: Path, tmp_path: Path) -> None:
    (raw / "maestro" / "2018" / "one.wav").unlink()
    with pytest.raises(ValueError, match="no pair could be made"):
        _pairs(raw, tmp_path / "aligned", piano_excerpts=3)


def test_a_synthesizer_is_trained_on_them(raw: Path, tmp_path: Path) -> None:
    """From MAESTRO's layout to weights: align, stft, train."""
    table = raw / "maestro" / "maestro-v3.0.0.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("test", "train"), encoding="utf-8")
    _pairs(raw, tmp_path / "aligned", piano_excerpts=2)
    settings = StftSettings(segment_frames=128, valid_fraction=0.5, test_fraction=0.0)
    (tmp_path / "stft").mkdir()
    write_shards(tmp_path / "aligned", tmp_path / "stft", settings)
    task = tiny_task("synthesizer", steps=1, validate_every=1, corpora=(PIANOS,))
    figures = train(task, tmp_path / "stft", tmp_path / "model", tmp_path / "checkpoints", progress=False)
    assert figures["step"] == 1
    assert np.isfinite(figures["loss"])
