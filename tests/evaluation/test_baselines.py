"""Baselines on tones whose notes are known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.evaluation.baselines import BASELINES, installed, segment
from hf_model.evaluation.metrics import note_scores
from hf_model.notes.note import Note

NOTES = [Note(0.3, 0.9, 60.0), Note(1.2, 1.8, 64.0), Note(1.8, 2.4, 67.0)]


def _synthesize(notes, seconds=3.0, sample_rate=16000):
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    voice = np.zeros_like(time)
    for note in notes:
        on = (time >= note.onset) & (time < note.offset)
        f0 = 440 * 2 ** ((note.pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * n * f0 * time) / n for n in range(1, 8))
        fade = np.clip(np.minimum(time - note.onset, note.offset - time) / 0.02, 0, 1)
        voice += on * fade * tone * 0.2
    return (voice + 1e-4 * np.random.default_rng(0).standard_normal(time.size)).astype(np.float32)


def test_segment_splits_at_silence_and_at_a_new_pitch():
    f0 = np.concatenate([np.zeros(10), np.full(20, 220.0), np.zeros(5), np.full(20, 220.0), np.full(20, 247.0)])
    notes = segment(f0, 100.0)
    assert [(note.onset, note.offset) for note in notes] == [(0.1, 0.3), (0.35, 0.55), (0.55, 0.75)]
    assert [note.pitch for note in notes] == pytest.approx([57.0, 57.0, 59.0], abs=0.01)


def test_segment_keeps_vibrato_in_one_note_and_drops_fragments():
    time = np.arange(100) / 100
    vibrato = 220 * 2 ** (0.5 * np.sin(2 * np.pi * 6 * time) / 12)
    assert len(segment(vibrato, 100.0)) == 1
    assert segment(np.array([0.0, 220.0, 220.0, 0.0]), 100.0) == []
    assert segment(np.zeros(0), 100.0) == []


@pytest.mark.parametrize("name", list(BASELINES))
@pytest.mark.filterwarnings("ignore")
def test_baselines_transcribe_three_tones(name):
    if not installed([name]):
        pytest.skip(f"{name} is not installed (extra: peers)")
    if name == "basic_pitch":
        pytest.importorskip("basic_pitch")
    voice = _synthesize(NOTES)
    estimate = BASELINES[name][1](voice, 16000)
    assert note_scores(NOTES, estimate)["conp"] >= 0.6
    assert BASELINES[name][1](np.zeros(800, dtype=np.float32), 16000) == []


def test_baselines_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setitem(BASELINES, "missing", (("a_package_that_does_not_exist",), segment))
    assert installed(["missing"]) == []
    assert installed(["pyin"]) == ["pyin"]
