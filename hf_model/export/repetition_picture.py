"""Picture of the repetitions in a melody: dissimilarity matrix and notes, with the phrases marked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.export.picture import readable_title
from hf_model.music.repetition import WINDOW, Repetition, dissimilarity, find_repetitions
from hf_model.notes.note import Note
from hf_model.plotting import ACCENT, BACKGROUND, PHRASE_COLOURS, TEXT, import_matplotlib, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_MOMENTS = 400
"""Rows and columns of the matrix."""

MAX_PHRASES = 8
"""Repetitions that are marked, the best ones."""


def save_repeats_picture(path: Path | str, notes: Sequence[Note], title: str = "", tuning: float = 0.0) -> None:
    """Draw the dissimilarity of all pairs of moments in a melody and write it as PNG, with any suffix.

    Parameters
    ----------
    path : path
    notes : sequence of Note
        One voice, sorted by onset.
    title : str
    tuning : float
        The singer's offset from 440 Hz in semitones.

    Raises
    ------
    PlottingError
        If matplotlib is not installed.
    """
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = find_repetitions(notes, tuning)[:MAX_PHRASES]
    end = max((note.offset for note in notes), default=1.0)
    times = np.linspace(0.0, end, min(MAX_MOMENTS, max(8, round(end / 0.1))))
    figure = Figure(figsize=(9.0, 10.6), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    roll = figure.add_axes((0.09, 0.79, 0.79, 0.15))
    matrix = figure.add_axes((0.09, 0.09, 0.79, 0.67), sharex=roll)
    image = matrix.imshow(
        _without_rests(dissimilarity(notes, times), notes, times),
        origin="lower",
        extent=(0.0, end, 0.0, end),
        aspect="auto",
        cmap="magma_r",
        vmin=0.0,
        vmax=6.0,
    )
    _draw_roll(roll, notes, found)
    for colour, repetition in zip(PHRASE_COLOURS, found, strict=False):
        _mark(matrix, notes, repetition, colour)
    scale = figure.colorbar(image, cax=figure.add_axes((0.9, 0.09, 0.02, 0.67)))
    scale.set_label("semitones between the contours, in any key", color=TEXT)
    for axes in (roll, matrix, scale.ax):
        style_axes(axes)
    matrix.set_xlabel("seconds", color=TEXT)
    matrix.set_ylabel("seconds", color=TEXT)
    roll.set_xlim(0.0, end)
    roll.tick_params(labelbottom=False)
    roll.set_ylabel("key", color=TEXT)
    roll.set_title(readable_title(title) or "What repeats", color=TEXT, loc="left", fontsize=12, parse_math=False)
    legend = {0: "nothing comes again", 1: "a phrase that comes again"}.get(len(found), "phrases that come again")
    caption = f"light: the melody does the same at both times    empty: silence    lines: {legend}"
    figure.text(0.09, 0.025, caption, color=TEXT, fontsize=9)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the font lacks
        figure.savefig(str(path), format="png", dpi=110, facecolor=BACKGROUND)


def _without_rests(
    matrix: NDArray[np.float64], notes: Sequence[Note], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mask moments without onsets around them: silences are alike, but are no melody."""
    onsets = np.array([note.onset for note in notes])
    silent = np.array([not np.any(np.abs(onsets - time) < WINDOW / 2) for time in times])
    matrix[silent], matrix[:, silent] = np.nan, np.nan
    return matrix


def _draw_roll(axes: Axes, notes: Sequence[Note], found: Sequence[Repetition]) -> None:
    """Draw the notes, and a bar for each repeated phrase below them."""
    for note in notes:
        axes.plot([note.onset, note.offset], [note.pitch, note.pitch], color=ACCENT, linewidth=2.5)
    lowest = min((note.pitch for note in notes), default=60.0)
    for row, (colour, repetition) in enumerate(zip(PHRASE_COLOURS, found, strict=False)):
        for first, last in repetition.phrases:
            place = [lowest - 2.0 - 1.2 * row] * 2
            axes.plot([notes[first].onset, notes[last].offset], place, color=colour, linewidth=2.0)


def _mark(axes: Axes, notes: Sequence[Note], repetition: Repetition, colour: str) -> None:
    """Draw a repetition as a line in the matrix, on both sides of the diagonal."""
    first = [notes[a].onset for a, _ in repetition.pairs]
    second = [notes[b].onset for _, b in repetition.pairs]
    for x, y in ((second, first), (first, second)):
        axes.plot(x, y, color=colour, linewidth=1.8)
    if repetition.transposition:
        axes.annotate(f"{repetition.transposition:+d}", (second[0], first[0]), color=colour, fontsize=9)
