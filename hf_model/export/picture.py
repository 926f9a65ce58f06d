"""Picture of a conversion: the notes of the piano over the spectrogram of the voice."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.plotting import (
    ACCENT,
    BACKGROUND,
    BLACK_KEY,
    FINE_STFT,
    KEY_EDGE,
    RANGE_DB,
    SPECTROGRAM_COLOURS,
    SUNG_COLOUR,
    TEXT,
    WHITE_KEY,
    import_matplotlib,
    pitch_spectrogram,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


HEIGHT = 5.6
"""Inches."""

MAX_TITLE = 45
"""Characters of the title."""

BLACK_KEYS = frozenset((1, 3, 6, 8, 10))


def save_picture(
    path: Path | str, voice: NDArray[np.float32], notes: Sequence[Note], keys: Sequence[Note], title: str = ""
) -> None:
    """Draw a conversion and write it as PNG, with any suffix.

    Parameters
    ----------
    path : path
    voice : ndarray, shape (sample,)
        At 16 kHz.
    notes, keys : sequence of Note
        Transcribed notes, and the notes of the piano.
    title : str

    Raises
    ------
    PlottingError
        If matplotlib is not installed.
    """
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    duration = max(voice.shape[0] / FINE_STFT.sample_rate, 0.1)
    lowest, highest = _pitch_range([*notes, *keys])
    width = float(np.clip(0.6 * duration, 10, 32))
    figure = Figure(figsize=(width, HEIGHT), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    keyboard = figure.add_axes(_inches(width, 0.6, 0.95))
    axes = figure.add_axes(_inches(width, 1.03, width - 0.15), sharey=keyboard)
    axes.imshow(
        pitch_spectrogram(voice, lowest - 0.5, highest + 0.5),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        cmap=_spectrogram_colours(),
        vmin=-RANGE_DB,
        vmax=0.0,
        extent=(0.0, duration, lowest - 0.5, highest + 0.5),
    )
    _draw_notes(axes, notes, keys)
    _draw_keyboard(keyboard, lowest, highest, {int(key.pitch) for key in keys})
    style_axes(axes)
    axes.tick_params(left=False, labelleft=False)
    axes.set_xlim(0.0, duration)
    axes.set_xlabel("seconds", color=TEXT)
    count = "1 note" if len(keys) == 1 else f"{len(keys)} notes"
    axes.set_title(f"{readable_title(title)}  ·  {count}", color=TEXT, loc="left", fontsize=12, parse_math=False)
    axes.set_title("bars: the piano, brighter is louder   dashes: as sung", color=TEXT, loc="right", fontsize=9)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the font lacks
        figure.savefig(str(path), format="png", dpi=120, facecolor=BACKGROUND, pil_kwargs={"compress_level": 2})


def readable_title(title: str) -> str:
    """Make any text printable, and short enough for a title."""
    readable = title.encode("utf-8", "replace").decode()
    return readable if len(readable) <= MAX_TITLE else f"{readable[: MAX_TITLE - 1]}…"


def _inches(width: float, left: float, right: float) -> tuple[float, float, float, float]:
    """Place axes between two distances from the left edge, in inches, with margins for the title and the labels."""
    return left / width, 0.6 / HEIGHT, (right - left) / width, (HEIGHT - 1.0) / HEIGHT


def _pitch_range(notes: Sequence[Note]) -> tuple[int, int]:
    """Choose the lowest and highest key: at least two octaves, with a margin around the notes."""
    if not notes:
        return 43, 79
    low = int(min(note.pitch for note in notes)) - 4
    high = int(max(note.pitch for note in notes)) + 6
    missing = max(0, 24 - (high - low))
    return low - missing // 2, high + (missing + 1) // 2


def _draw_notes(axes: Axes, notes: Sequence[Note], keys: Sequence[Note]) -> None:
    """Draw each key as a bar, brighter when louder, and the transcribed pitch as dashes."""
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    bars = [Rectangle((key.onset, key.pitch - 0.5), key.duration, 1.0) for key in keys]
    fill = [to_rgba(ACCENT, 0.10 + 0.60 * key.velocity / 127) for key in keys]
    axes.add_collection(PatchCollection(bars, facecolors=fill, edgecolors=ACCENT, linewidths=1.3, zorder=3))
    lines = [[(note.onset, note.pitch), (note.offset, note.pitch)] for note in notes]
    axes.add_collection(LineCollection(lines, colors=SUNG_COLOUR, linewidths=1.0, linestyles=[(0, (3, 2))], zorder=4))


def _draw_keyboard(axes: Axes, lowest: int, highest: int, played: set[int]) -> None:
    """Draw a keyboard along the pitch axis, with the played keys highlighted."""
    for key in range(lowest, highest + 1):
        is_black = key % 12 in BLACK_KEYS
        colour = ACCENT if key in played else BLACK_KEY if is_black else WHITE_KEY
        axes.barh(key, 1.0, height=1.0, color=colour, edgecolor=KEY_EDGE, linewidth=0.5)
    style_axes(axes)
    axes.tick_params(left=False)
    has_room = highest - lowest <= 32
    named = [key for key in range(lowest, highest + 1) if key % 12 == 0 or (has_room and key in played)]
    axes.set_yticks(named, [pitch_to_name(key) for key in named])
    axes.set_xticks([])
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(lowest - 0.5, highest + 0.5)


def _spectrogram_colours() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("night", SPECTROGRAM_COLOURS)
