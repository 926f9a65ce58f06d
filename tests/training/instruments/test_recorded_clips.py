"""Clips of recorded corpora: files made in the published layouts, with sounds that tell them apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hf_model.audio.io import write_audio
from hf_model.corpora.records import CorpusError
from hf_model.instruments.classes import CLASSES
from hf_model.instruments.spectrogram import FRAME_RATE, RATE
from hf_model.training.instruments.clips import CLIP_FRAMES
from hf_model.training.instruments.recorded_clips import NSYNTH, OPENMIC, recorded_clips


def _sound(path: Path, seconds: float = 4.0, hertz: float = 440.0, silent: float = 0.0) -> None:
    """Write a tone that begins after ``silent`` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    write_audio(path, (0.3 * np.sin(2 * np.pi * hertz * times) * (times >= silent)).astype(np.float32), RATE)


def _nsynth(raw: Path, *names: str, split: str = "train") -> None:
    folder = raw / "nsynth" / f"nsynth-{split}"
    examples = {}
    for name in names:
        family, source = name.split("-")[0].rsplit("_", 2)[:2]
        examples[name] = {"pitch": 60, "velocity": 90, "instrument_family_str": family, "instrument_source_str": source}
        _sound(folder / "audio" / f"{name}.wav")
    (folder / "examples.json").write_text(json.dumps(examples), encoding="utf-8")


def test_nsynth_families_become_classes(tmp_path: Path) -> None:
    _nsynth(tmp_path, "keyboard_acoustic_004-060-025", "reed_acoustic_023-060-025", "synth_lead_synthetic_1-060-025")
    _nsynth(tmp_path, "flute_acoustic_001-060-025", split="test")
    clips = list(recorded_clips(tmp_path, "nsynth", 10, 0))
    assert sorted(next(iter(clip.names)) for clip in clips) == ["piano", "synth lead"]  # no reeds, nothing for testing
    assert {clip.group for clip in clips} == {"nsynth"}
    assert all(clip.power.shape[0] == CLIP_FRAMES for clip in clips)


def test_at_most_so_many_clips_of_a_class(tmp_path: Path) -> None:
    _nsynth(tmp_path, *(f"bass_synthetic_{number:03d}-060-025" for number in range(7)), "organ_electronic_1-060-025")
    clips = list(recorded_clips(tmp_path, "nsynth", 3, 0))
    assert sorted(next(iter(clip.names)) for clip in clips) == ["bass", "bass", "bass", "organ"]


def test_openmic_clips_with_unclear_labels_are_left_out(tmp_path: Path) -> None:
    home = tmp_path / "openmic"
    home.mkdir()
    rows = ["a1,piano,0.9,3", "a1,voice,0.6,3", "a2,guitar,0.9,3", "a2,piano,0.9,3", "a3,cymbals,0.9,3", "a3,drums,1,3"]
    header = "sample_key,instrument,relevance,num_responses\n"
    (home / "openmic-2018-aggregated-labels.csv").write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    (home / "openmic-2018-metadata.csv").write_text("sample_key,license_title\n", encoding="utf-8")
    for name in ("a1", "a2", "a3"):
        _sound(home / "audio" / name[:3] / f"{name}.flac", 10.0)
        (home / "audio" / name[:3] / f"{name}.flac").rename(home / "audio" / name[:3] / f"{name}.ogg")
    clips = list(recorded_clips(tmp_path, "openmic", 10, 0))
    assert {clip.names for clip in clips} == {frozenset({"piano", "voice"}), frozenset({"drums"})}


def test_groove_takes_are_drums(tmp_path: Path, make_midi) -> None:  # type: ignore[no-untyped-def]
    home = tmp_path / "groove"
    home.mkdir()
    (home / "info.csv").write_text(
        "id,midi_filename,audio_filename,split\nd1/1,1.mid,1.wav,train\nd1/2,2.mid,,train\n", encoding="utf-8"
    )
    for number in (1, 2):
        make_midi(home / f"{number}.mid", {}, drums=[("Kit", [(0, 0.1, 36)])])
    _sound(home / "1.wav", 30.0, silent=20.0)
    (clip,) = recorded_clips(tmp_path, "groove", 10, 0)  # the second take has no audio
    assert clip.names == {"drums"}


def test_a_clip_is_cut_where_something_sounds(tmp_path: Path) -> None:
    _nsynth(tmp_path, "bass_acoustic_1-060-025")
    path = tmp_path / "nsynth" / "nsynth-train" / "audio" / "bass_acoustic_1-060-025.wav"
    _sound(path, 60.0, silent=30.0)
    loud = 0
    for seed in range(16):
        for clip in recorded_clips(tmp_path, "nsynth", 1, seed):
            loud += int((clip.power.sum(axis=1) > 1e-3).sum() > FRAME_RATE)
    assert loud >= 11  # 8 of 16 are expected of one part, 14 of the best of three


def test_missing_recordings_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nsynth: no nsynth-\*"):
        list(recorded_clips(tmp_path, "nsynth", 10, 0))


def test_all_labels_are_classes() -> None:
    assert {*NSYNTH.values(), *OPENMIC.values()} <= set(CLASSES)
