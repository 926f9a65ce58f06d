"""A melody with known onsets, offsets and pitches, and its pitch track; shared by several tests."""

import numpy as np

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.pitch_tracking import Track, track
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz


def melody() -> list[Note]:
    """Twelve notes of 0.3-0.4 s with gaps of 0.1 s, A3 to E4."""
    pitches = [57, 59, 61, 57, 62, 64, 61, 59, 57, 64, 62, 57]
    return [Note(0.5 * k + 0.2, 0.5 * k + (0.5 if k % 2 else 0.6), float(pitch)) for k, pitch in enumerate(pitches)]


def tracked_melody() -> Track:
    """Track of the melody as tones of five partials, with attacks and releases of 10 ms."""
    audio = np.zeros(7 * VOICE_STFT.sample_rate, dtype=np.float32)
    for note in melody():
        times = np.arange(round(note.duration * VOICE_STFT.sample_rate)) / VOICE_STFT.sample_rate
        hertz = float(pitch_to_hz(note.pitch))
        sound = sum(0.2 / k * np.sin(2 * np.pi * k * hertz * times) for k in range(1, 6))
        fade = np.minimum(1.0, np.minimum(times, times[::-1]) / 0.01)
        start = round(note.onset * VOICE_STFT.sample_rate)
        audio[start : start + len(times)] += (sound * fade).astype(np.float32)
    return track(audio + 1e-4 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32))
