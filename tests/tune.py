"""A tune whose every time and pitch is known, and what the tracker hears of it; shared by several tests."""

import numpy as np

from hf_model.audio.pitch_tracking import SAMPLE_RATE, Track, track
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz


def tune() -> list[Note]:
    """Twelve notes of 0.3-0.4 s with gaps of 0.1 s, A3 to E4."""
    pitches = [57, 59, 61, 57, 62, 64, 61, 59, 57, 64, 62, 57]
    return [Note(0.5 * k + 0.2, 0.5 * k + (0.5 if k % 2 else 0.6), float(pitch)) for k, pitch in enumerate(pitches)]


def sung_tune() -> Track:
    """The tune as tones of five partials that begin and end within 10 ms."""
    audio = np.zeros(7 * SAMPLE_RATE, dtype=np.float32)
    for note in tune():
        times = np.arange(round(note.duration * SAMPLE_RATE)) / SAMPLE_RATE
        hertz = float(pitch_to_hz(note.pitch))
        sound = sum(0.2 / k * np.sin(2 * np.pi * k * hertz * times) for k in range(1, 6))
        fade = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.01)
        start = round(note.onset * SAMPLE_RATE)
        audio[start : start + len(times)] += (sound * fade).astype(np.float32)
    return track(audio + 1e-4 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32))
