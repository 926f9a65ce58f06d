"""What all pictures share: the palette, the style of axes, and the spectrogram over pitch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT, frame_count
from hf_model.notes.pitch import pitch_to_hz

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BACKGROUND, FRAME, TEXT, ACCENT = "#0f111c", "#3a3f55", "#c9cede", "#ffb84d"
"""Of figures and axes; the accent is the colour of the piano's notes."""

TABLE_HEADER = "#1b2036"
"""Background of a table's first row."""

SPECTROGRAM_COLOURS = (BACKGROUND, "#18204a", "#2d4a9a", "#4fa3c7", "#dff5ee")
DIM_SPECTROGRAM_COLOURS = (BACKGROUND, "#151c40", "#233a7a", "#3b78a5", "#9fd0d8")
"""From quiet to loud; the dim ones lie behind notes."""

VOICE_COLOUR, PIANO_COLOUR = (0.25, 0.65, 1.0), (1.0, 0.55, 0.15)
"""RGB, of spectrograms that are added to each other."""

ERROR_COLOUR = "#ff5cc8"
"""Names of the kinds of errors."""

REFERENCE_COLOUR, ESTIMATE_COLOUR, SUNG_COLOUR = "#ffffff", "#7dff9a", "#ffffff"
"""Labelled notes, estimated notes, and transcribed pitches over the piano's notes."""

BLACK_KEY, WHITE_KEY, KEY_EDGE = "#1b1e2b", "#e8e6df", "#5b5f70"
"""Of the keyboard at the left of a picture."""

PHRASE_COLOURS = (ACCENT, "#6fd3ff", "#ff7aa8", "#9be36b", "#c9a0ff", "#ffe66d", "#ff9466", "#7af0d0")
"""Of repeated phrases, in the order in which they are drawn."""

FINE_STFT = replace(VOICE_STFT, n_fft=4096, win_length=2560)
"""A longer window than the transcriber's, to resolve the partials of low voices."""

STEPS_PER_SEMITONE = 5
"""Rows of the spectrogram per semitone."""

MAX_COLUMNS = 3000
"""Columns of the spectrogram; of longer recordings each column is the maximum of several frames."""

RANGE_DB = 50.0
"""Range of levels drawn, down from the loudest."""


class PlottingError(Exception):
    """Why no picture can be drawn."""


def pitch_spectrogram(voice: NDArray[np.float32], lowest: float, highest: float) -> NDArray[np.float32]:
    """Compute a voice's spectrogram with pitch as its vertical axis.

    Returns
    -------
    ndarray, shape (step, column)
        dB relative to the maximum, from ``lowest`` to ``highest`` (MIDI numbers) in steps of a fifth of a semitone;
        a column is the maximum of its frames.
    """
    steps = np.arange(round((highest - lowest) * STEPS_PER_SEMITONE)) + 0.5
    position = pitch_to_hz(lowest + steps / STEPS_PER_SEMITONE) * FINE_STFT.n_fft / FINE_STFT.sample_rate
    position = np.clip(position, 0.0, FINE_STFT.n_bins - 1.001)
    below = position.astype(np.int64)
    share = (position - below).astype(np.float32)
    n_bins = int(below[-1]) + 2
    n_frames = frame_count(voice.shape[0], FINE_STFT)
    frames_per_column = -(-n_frames // MAX_COLUMNS)
    block = max(1, 500 // frames_per_column) * frames_per_column
    columns = []
    for start in range(0, n_frames, block):
        power = _power(voice, start, min(start + block, n_frames))[:, :n_bins]
        rows = power[:, below] * (1 - share) + power[:, below + 1] * share
        padded = np.pad(rows, ((0, -rows.shape[0] % frames_per_column), (0, 0)))
        columns.append(padded.reshape(-1, frames_per_column, rows.shape[1]).max(axis=1))
    picture = np.concatenate(columns)
    level = 10 * np.log10(np.maximum(picture / max(float(picture.max()), 1e-6), 1e-12))
    return np.asarray(level.T, dtype=np.float32)


def _power(voice: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32]:
    """Compute the power (frame, bin) of the frames from ``first`` to before ``last``, with ``FINE_STFT``."""
    width, hop_length = FINE_STFT.win_length, FINE_STFT.hop_length
    begin, end = first * hop_length - width // 2, (last - 1) * hop_length + width // 2
    segment = np.pad(voice[max(0, begin) : end], (max(0, -begin), max(0, end - voice.shape[0])))
    frames = np.lib.stride_tricks.sliding_window_view(segment, width)[::hop_length]
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames * window, FINE_STFT.n_fft, axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def import_matplotlib() -> None:
    """Import matplotlib, before a picture is drawn.

    Raises
    ------
    PlottingError
        If it is not installed; the message names the extra.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        msg = "pictures need matplotlib, which is not installed: pip install 'hummingface[plot]'"
        raise PlottingError(msg) from error


def style_axes(axes: Axes) -> None:
    """Give axes the colours of all pictures."""
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(colors=TEXT, labelsize=9)
    for side in axes.spines.values():
        side.set_color(FRAME)
