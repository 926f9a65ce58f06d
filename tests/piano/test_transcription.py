"""Transcription of monophonic piano: rendered notes are found again."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.evaluation.metrics import note_scores
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.piano.transcription import RATE, piano_to_notes


def _struck(pitch, onset, duration, seconds=4.0):
    """Synthesize decaying partials from ``onset`` on, damped after ``duration``."""
    time = np.arange(int(seconds * RATE)) / RATE - onset
    tone = sum(
        np.sin(2 * np.pi * partial * 440 * 2 ** ((pitch - 69) / 12) * time) / partial**1.2 for partial in range(1, 7)
    )
    envelope = np.where(time >= 0, np.exp(-1.5 * np.maximum(time, 0)), 0.0)
    damped = np.exp(-30 * np.maximum(time - duration, 0))
    return (0.2 * tone * envelope * damped).astype(np.float32)


def test_three_notes_are_found():
    notes = [Note(0.5, 1.0, 60.0), Note(1.0, 1.5, 64.0), Note(2.0, 3.0, 48.0)]
    audio = sum(_struck(note.pitch, note.onset, note.duration) for note in notes)
    found = piano_to_notes(audio, RATE)
    assert [note.pitch for note in found] == [60.0, 64.0, 48.0]
    assert [note.onset for note in found] == pytest.approx([0.5, 1.0, 2.0], abs=0.03)


def test_a_key_struck_twice_is_two_notes():
    found = piano_to_notes(_struck(60, 0.5, 0.5) + _struck(60, 1.0, 1.0), RATE)
    assert [note.pitch for note in found] == [60.0, 60.0]


def test_level_and_channels_do_not_matter():
    audio = _struck(72, 0.5, 1.0)
    quiet = np.stack([audio, audio]) * np.float32(1e-3)
    assert piano_to_notes(quiet, RATE) == piano_to_notes(audio, RATE)


@pytest.mark.parametrize("n_samples", [0, 100, RATE])
def test_silence_has_no_notes(n_samples):
    assert piano_to_notes(np.zeros(n_samples, dtype=np.float32), RATE) == []


def test_the_sampled_piano_is_transcribed():
    generator = np.random.default_rng(3)
    onset, key, notes = 0.3, 60, []
    while onset < 10:
        duration = float(generator.choice([0.2, 0.3, 0.45, 0.7]))
        key = int(np.clip(key + generator.integers(-5, 6), 48, 80))
        notes.append(Note(onset, onset + duration, float(key), int(generator.integers(60, 95))))
        onset += duration + float(generator.choice([0.0, 0.03, 0.2]))
    audio = SampledPiano.load().render(notes, 44100 * 12)
    assert note_scores(notes, piano_to_notes(audio, 44100))["conp"] >= 0.95


def test_a_wrong_key_is_found_as_played():
    played = [Note(0.5, 1.0, 61.0), Note(1.0, 1.5, 64.0)]
    reference = [Note(0.5, 1.0, 60.0), Note(1.0, 1.5, 64.0)]
    audio = SampledPiano.load().render(played, 44100 * 2)
    assert note_scores(reference, piano_to_notes(audio, 44100))["conp"] == pytest.approx(0.5)
