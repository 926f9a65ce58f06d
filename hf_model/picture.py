"""A picture of a conversion: the piano's notes over the spectrogram of the voice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.config import VOICE_STFT
from hf_model.notes import Note
from hf_model.pitch import pitch_to_hz, pitch_to_name
from hf_model.stft import stft

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap

STEPS_PER_SEMITONE = 4
"""Rows of the spectrogram to a semitone."""

MOST_COLUMNS = 4000
"""Columns of the spectrogram; longer recordings are summarised."""

RANGE_DB = 55.0
"""Levels from the loudest down to this many dB under it are drawn."""

NIGHT, INK, GLOW, SUNG = "#11131f", "#c9cede", "#ffd166", "#ffffff"
BLACK_KEYS = frozenset((1, 3, 6, 8, 10))


def save_picture(
    path: Path | str, voice: NDArray[np.float32], notes: Sequence[Note], keys: Sequence[Note], title: str = ""
) -> None:
    """Draw a conversion and write it as PNG, whatever the suffix.

    Parameters
    ----------
    path : path
    voice : ndarray, shape (sample,)
        At 16 kHz.
    notes, keys : sequence of Note
        As sung, and as played.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    duration = max(voice.shape[0] / VOICE_STFT.sample_rate, 0.1)
    lowest, highest = _pitch_range([*notes, *keys])
    figure = Figure(figsize=(float(np.clip(0.55 * duration, 9, 36)), 5.4), facecolor=NIGHT, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = pitch_spectrogram(voice, lowest, highest)
    axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        cmap=_night_map(),
        vmin=-RANGE_DB,
        vmax=0.0,
        extent=(0.0, duration, lowest, highest),
    )
    _draw_notes(axes, notes, keys)
    _draw_axes(axes, duration, lowest, highest)
    key_word = "note" if len(keys) == 1 else "notes"
    axes.set_title(f"{title}   {len(keys)} {key_word} on the piano", color=INK, loc="left", fontsize=12)
    figure.savefig(str(path), format="png", dpi=120, facecolor=NIGHT)


def pitch_spectrogram(voice: NDArray[np.float32], lowest: float, highest: float) -> NDArray[np.float32]:
    """Compute a voice's spectrogram with pitch as its vertical axis.

    Returns
    -------
    ndarray, shape (step, column)
        dB under the loudest, from ``lowest`` to ``highest`` (MIDI numbers) in steps of a quarter of a semitone; every
        column is the loudest of the frames that it stands for.
    """
    import torch

    config = VOICE_STFT
    pitches = np.arange(lowest, highest, 1 / STEPS_PER_SEMITONE) + 0.5 / STEPS_PER_SEMITONE
    position = np.minimum(pitch_to_hz(pitches) * config.n_fft / config.sample_rate, config.n_bins - 1.001)
    below = position.astype(np.int64)
    share = (position - below).astype(np.float32)
    n_frames = 1 + voice.shape[0] // config.hop_length
    frames_per_column = -(-n_frames // MOST_COLUMNS)
    span = 1000 * frames_per_column * config.hop_length
    columns = []
    for start in range(0, max(1, voice.shape[0]), span):
        power = stft(torch.from_numpy(voice[start : start + span]), config).abs().square().numpy()[:-1]
        rows = power[:, below] * (1 - share) + power[:, below + 1] * share
        whole = np.pad(rows, ((0, -rows.shape[0] % frames_per_column), (0, 0)))
        columns.append(whole.reshape(-1, frames_per_column, rows.shape[1]).max(axis=1))
    power = np.concatenate(columns) if columns else np.zeros((1, pitches.size), dtype=np.float32)
    level = 10 * np.log10(np.maximum(power / max(float(power.max(initial=0.0)), 1e-8), 1e-12))
    return np.asarray(level.T, dtype=np.float32)


def _pitch_range(notes: Sequence[Note]) -> tuple[int, int]:
    """Choose the pitches to show: at least two octaves, with a margin around the notes."""
    if not notes:
        return 43, 79
    low = int(min(note.pitch for note in notes)) - 4
    high = int(max(note.pitch for note in notes)) + 6
    missing = max(0, 24 - (high - low))
    return low - missing // 2, high + (missing + 1) // 2


def _draw_notes(axes: Axes, notes: Sequence[Note], keys: Sequence[Note]) -> None:
    """Draw each key as a bar, brighter when louder, and the pitch as sung as a line within it."""
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    bars = [Rectangle((key.onset, key.pitch - 0.5), key.duration, 1.0) for key in keys]
    fill = [to_rgba(GLOW, 0.15 + 0.45 * key.velocity / 127) for key in keys]
    axes.add_collection(PatchCollection(bars, facecolors=fill, edgecolors=GLOW, linewidths=1.4, zorder=3))
    lines = [[(note.onset, note.pitch), (note.offset, note.pitch)] for note in notes]
    axes.add_collection(LineCollection(lines, colors=SUNG, linewidths=1.0, linestyles=(0, (4, 2)), zorder=4))


def _draw_axes(axes: Axes, duration: float, lowest: int, highest: int) -> None:
    """Draw time in seconds, and pitch as the keys of a piano."""
    for key in range(lowest, highest + 1):
        if key % 12 in BLACK_KEYS:
            axes.axhspan(key - 0.5, key + 0.5, color="#000000", alpha=0.16, linewidth=0, zorder=1)
    naturals = [key for key in range(lowest, highest + 1) if key % 12 in (0, 4, 7)]
    axes.set_yticks(naturals, [pitch_to_name(key) for key in naturals])
    axes.tick_params(colors=INK, labelsize=9)
    for side in axes.spines.values():
        side.set_color("#3a3f55")
    axes.set_xlim(0.0, duration)
    axes.set_ylim(lowest, highest)
    axes.set_xlabel("seconds", color=INK)


def _night_map() -> LinearSegmentedColormap:
    from matplotlib.colors import LinearSegmentedColormap as ColourMap

    return ColourMap.from_list("night", [NIGHT, "#1f2a5a", "#3b4fa0", "#56a3c9", "#d8f3ec"])
