"""What the page draws the notes upon: the voice's spectrogram as a picture that takes any colour, and its pitch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.pitch_tracking import FRAME_RATE, track
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch
from hf_model.plotting import RANGE_DB, pitch_spectrogram

MOST_COLUMNS = 1200
"""Of the picture; a column is the loudest of what it stands for."""

MARGIN = 8
"""Semitones drawn under the lowest and over the highest note."""

EVERY = 2
"""Frames of the pitch tracker to a point of the curve: 50 points a second."""


def draw_voice(path: Path, voice: NDArray[np.float32], notes: Sequence[Note]) -> tuple[int, int]:
    """Write the spectrogram of a voice as PNG: white, as opaque as it is loud, so that the page may tint it.

    Returns
    -------
    lowest, highest : int
        MIDI numbers of the picture's lower and upper edge.
    """
    from PIL import Image

    lowest = max(12, int(min(note.pitch for note in notes)) - MARGIN)
    highest = min(115, int(max(note.pitch for note in notes)) + MARGIN)
    level = pitch_spectrogram(voice, lowest, highest)
    together = -(-level.shape[1] // MOST_COLUMNS)
    level = np.pad(level, ((0, 0), (0, -level.shape[1] % together)), mode="edge")
    level = level.reshape(level.shape[0], -1, together).max(axis=2)
    alpha = np.clip(255 * (1 + level / RANGE_DB), 0, 255).astype(np.uint8)[::-1]
    picture = Image.fromarray(np.stack([np.full_like(alpha, 255), alpha], axis=-1), "LA")
    encoded = io.BytesIO()
    picture.save(encoded, "png", compress_level=6)
    path.write_bytes(encoded.getbuffer())
    return lowest, highest


def trace_pitch(voice: NDArray[np.float32], duration: float) -> dict[str, object]:
    """Follow the pitch of a voice: for JSON, MIDI numbers at an even step of seconds, None where nothing is sung."""
    found = track(voice).thinned(EVERY)
    pitch = hz_to_pitch(found.f0)
    n_points = int(duration * FRAME_RATE / EVERY) + 1
    points = [round(float(p), 2) if v else None for p, v in zip(pitch, found.voiced, strict=True)]
    return {"step": EVERY / FRAME_RATE, "points": points[:n_points]}
