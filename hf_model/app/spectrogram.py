"""What the page draws of a recording: its waveform, and the spectrogram and pitch curve of the voice."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.pitch_tracking import FRAME_RATE, track
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch
from hf_model.plotting import RANGE_DB, pitch_spectrogram

MARGIN = 8
"""Semitones drawn under the lowest and over the highest note."""

N_PEAKS = 800
"""Bars of the waveform of a whole recording."""

FRAMES_PER_POINT = 2
"""Frames of the pitch tracker per point of the curve: 50 points a second."""


def measure_peaks(audio: NDArray[np.float32]) -> list[int]:
    """Measure the peak of each of ``N_PEAKS`` equal parts of audio (sample,), relative to the largest: 0 to 255.

    A part at a time is read, so that the memory does not grow with the length of a mapped file.
    """
    edges = np.linspace(0, len(audio), min(N_PEAKS, len(audio)) + 1).astype(int)
    peaks = np.array([np.abs(audio[first:last]).max() for first, last in pairwise(edges)])
    return [int(peak) for peak in np.round(255 * peaks / max(float(peaks.max()), 1e-9))]


def draw_voice(path: Path, voice: NDArray[np.float32], notes: Sequence[Note]) -> tuple[int, int]:
    """Write the spectrogram of a voice as a white PNG with the level as opacity: the page gives it its colour.

    Returns
    -------
    lowest, highest : int
        MIDI numbers of the picture's lower and upper edge.
    """
    from PIL import Image

    lowest = max(12, int(min(note.pitch for note in notes)) - MARGIN)
    highest = min(115, int(max(note.pitch for note in notes)) + MARGIN)
    level = pitch_spectrogram(voice, lowest, highest)
    alpha = np.clip(255 * (1 + level / RANGE_DB), 0, 255).astype(np.uint8)[::-1]
    picture = Image.fromarray(np.stack([np.full_like(alpha, 255), alpha], axis=-1), "LA")
    encoded = io.BytesIO()
    picture.save(encoded, "png", compress_level=6)
    path.write_bytes(encoded.getbuffer())
    return lowest, highest


def trace_pitch(voice: NDArray[np.float32], duration: float) -> dict[str, object]:
    """Track the pitch of a voice: MIDI numbers at an even step in seconds, None where unvoiced; for JSON."""
    found = track(voice).downsampled(FRAMES_PER_POINT)
    pitch = hz_to_pitch(found.f0)
    n_points = int(duration * FRAME_RATE / FRAMES_PER_POINT) + 1
    points = [round(float(p), 2) if v else None for p, v in zip(pitch, found.voiced, strict=True)]
    return {"step": FRAMES_PER_POINT / FRAME_RATE, "points": points[:n_points]}
