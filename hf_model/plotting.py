"""What the pictures share: the palette, the style of axes, the spectrogram over pitch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import StftConfig, frame_count
from hf_model.audio.stft import stft
from hf_model.notes.pitch import pitch_to_hz

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FINE = StftConfig(sample_rate=16000, n_fft=4096, win_length=2560, hop_length=160)
"""A longer window than the transcriber's: low voices need it to show as lines."""


STEPS_PER_SEMITONE = 5
"""Rows of the spectrogram to a semitone."""


MOST_COLUMNS = 3000
"""Columns of the spectrogram; longer recordings are summarised."""


RANGE_DB = 50.0
"""Levels from the loudest down to this many dB under it are drawn."""


NIGHT, FRAME, INK, GLOW, SUNG = "#0f111c", "#3a3f55", "#c9cede", "#ffb84d", "#ffffff"


def pitch_spectrogram(voice: NDArray[np.float32], lowest: float, highest: float) -> NDArray[np.float32]:
    """Compute a voice's spectrogram with pitch as its vertical axis.

    Returns
    -------
    ndarray, shape (step, column)
        dB under the loudest, from ``lowest`` to ``highest`` (MIDI numbers) in steps of a fifth of a semitone; every
        column is the loudest of the frames that it stands for.
    """
    import torch

    steps = np.arange(round((highest - lowest) * STEPS_PER_SEMITONE)) + 0.5
    position = pitch_to_hz(lowest + steps / STEPS_PER_SEMITONE) * FINE.n_fft / FINE.sample_rate
    position = np.clip(position, 0.0, FINE.n_bins - 1.001)
    below = position.astype(np.int64)
    share = (position - below).astype(np.float32)
    n_bins = int(below[-1]) + 2
    n_frames = frame_count(voice.shape[0], FINE)
    frames_per_column = -(-n_frames // MOST_COLUMNS)
    block = max(1, 500 // frames_per_column) * frames_per_column
    margin = FINE.win_length // FINE.hop_length + 1  # frames on either side, so that the blocks' borders do not show
    columns = []
    for start in range(0, n_frames, block):
        first = max(0, start - margin)
        piece = voice[first * FINE.hop_length : (start + block + margin) * FINE.hop_length]
        power = stft(torch.from_numpy(np.ascontiguousarray(piece)), FINE)[:, :n_bins].abs().square().numpy()
        mine = power[start - first :][: min(block, n_frames - start)]
        rows = mine[:, below] * (1 - share) + mine[:, below + 1] * share
        whole = np.pad(rows, ((0, -rows.shape[0] % frames_per_column), (0, 0)))
        columns.append(whole.reshape(-1, frames_per_column, rows.shape[1]).max(axis=1))
    picture = np.concatenate(columns)
    level = 10 * np.log10(np.maximum(picture / max(float(picture.max()), 1e-6), 1e-12))
    return np.asarray(level.T, dtype=np.float32)


def _style(axes: Axes) -> None:
    axes.set_facecolor(NIGHT)
    axes.tick_params(colors=INK, labelsize=9, left=False)
    for side in axes.spines.values():
        side.set_color(FRAME)
