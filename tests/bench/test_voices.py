"""Counting of the benchmark of whistling and registers, and the sounds that it makes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.transcription.slurred import LEAD, legato, line
from bench.transcription.voices import Tally
from bench.transcription.whistling import HIGHEST, LOWEST, RATE, scale, tune, whistle
from hf_model.notes.note import Note


def test_notes_are_counted_by_key_octave_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [Note(0.0, 0.5, 60.0), Note(0.5, 1.0, 62.0), Note(1.0, 1.5, 64.0), Note(2.0, 2.5, 65.0)]
    found = [Note(0.1, 0.5, 60.0), Note(0.5, 1.0, 74.0), Note(1.0, 1.5, 63.0), Note(2.4, 2.9, 65.0)]
    monkeypatch.setattr("bench.transcription.voices.transcribe", lambda *_, **__: found)
    tally = Tally()
    tally.add(np.zeros(16000, dtype=np.float32), truth)
    assert (tally.notes, tally.right, tally.octave, tally.found) == (4, 1, 1, 4)
    assert tally.row("name") == ["name", "4", "25.0 %", "25.0 %", "100.0 %", "0 of 1"]


def test_whistling_has_the_pitch_of_its_notes() -> None:
    for seed in range(3):
        whistled = whistle(scale(seed), seed)
        for note in whistled.notes[::5]:
            middle = round((note.onset + note.offset) / 2 * RATE)
            spectrum = np.abs(np.fft.rfft(whistled.audio[middle - 2000 : middle + 2000], 44100))
            assert 69 + 12 * np.log2(np.argmax(spectrum) / 440) == pytest.approx(note.pitch, abs=1.0)
    assert all(LOWEST <= note.pitch <= HIGHEST for note in tune(5))


def test_legato_glides_in_the_middle() -> None:
    notes = line([57.0, 69.0], 1.0)
    audio = legato(notes, 0.1)
    for time, hz in ((LEAD + 0.5, 220.0), (LEAD + 1.5, 440.0)):
        part = audio[round(time * 16000) - 1600 : round(time * 16000) + 1600]
        near = range(round(12000 / hz), round(20000 / hz))  # lags of half an octave around the period
        best = max(near, key=lambda lag: float(part[:-lag] @ part[lag:]))
        assert 16000 / best == pytest.approx(hz, rel=0.03)
    assert np.abs(audio[: round(LEAD * 16000) - 100]).max() < 0.01
