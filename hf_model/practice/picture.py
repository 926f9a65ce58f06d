"""Picture of a comparison: written and sung notes, and what each is off in pitch and in time."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.notes.pitch import pitch_to_name
from hf_model.plotting import (
    ACCENT,
    BACKGROUND,
    ERROR_COLOUR,
    ESTIMATE_COLOUR,
    REFERENCE_COLOUR,
    TEXT,
    import_matplotlib,
    style_axes,
)
from hf_model.practice.comparison import IN_TUNE, NEAR, ON_TIME, ComparedNote, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CENTS, MAX_MILLISECONDS = 120.0, 250.0
"""Of the axes; bars that are longer end there."""

WIDTHS = (10.0, 32.0)
"""Inches, and how many a second."""

PER_SECOND = 0.5


def save_practice_picture(path: Path | str, comparison: Comparison, title: str = "") -> None:
    """Draw a comparison and write it as PNG, with any suffix.

    Raises
    ------
    PlottingError
        If matplotlib is not installed.
    """
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    notes = [note for note in comparison.notes if note.status != "outside"]
    begin = min(_span(note)[0] for note in notes)
    end = max(_span(note)[1] for note in notes)
    figure = Figure(figsize=(min(max(PER_SECOND * (end - begin), WIDTHS[0]), WIDTHS[1]), 8.0), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    roll, cents, late = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    _draw_roll(roll, notes, comparison.speed)
    _draw_bars(cents, [(*_span(note), note.cents) for note in notes if note.cents is not None], MAX_CENTS, IN_TUNE)
    if comparison.drift:
        seconds, values = zip(*comparison.drift, strict=True)
        cents.plot(seconds, values, color=REFERENCE_COLOUR, linewidth=1.4, label="drift")
        cents.legend(loc="upper right", fontsize=8, facecolor=BACKGROUND, labelcolor=TEXT, frameon=False)
    bars = [(*_span(note), note.milliseconds) for note in notes if note.milliseconds is not None]
    _draw_bars(late, bars, MAX_MILLISECONDS, ON_TIME)
    for axes, label in ((roll, "key"), (cents, "cents\nflat      sharp"), (late, "ms\nearly      late")):
        style_axes(axes)
        axes.set_ylabel(label, color=TEXT)
    late.set_xlabel("seconds", color=TEXT)
    late.set_xlim(begin - 0.3, end + 0.3)
    readable = title.encode("utf-8", "replace").decode()
    roll.set_title(readable, color=TEXT, loc="left", fontsize=12, parse_math=False)
    roll.set_title("outlines: written, in the singer's key   filled: sung", color=TEXT, loc="right", fontsize=9)
    figure.subplots_adjust(left=0.09, right=0.985, top=0.95, bottom=0.07, hspace=0.08)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the font lacks
        figure.savefig(str(path), format="png", dpi=110, facecolor=BACKGROUND)


def _span(note: ComparedNote) -> tuple[float, float]:
    """Give beginning and end: as sung, or where the written note was expected."""
    if note.sung:
        return note.sung.onset, note.sung.offset
    return note.expected, note.expected + (note.written.duration if note.written else 0.2)


def _colour(off: float, near: float, far: float) -> str:
    return ESTIMATE_COLOUR if abs(off) <= near else ACCENT if abs(off) <= far else ERROR_COLOUR


def _draw_roll(axes: Axes, notes: list[ComparedNote], speed: float) -> None:
    """Draw the written notes as outlines, and the sung ones in the colour of their distance."""
    for note in notes:
        first, last = _span(note)
        if note.meant is not None and note.written:
            begin, length = note.expected, note.written.duration / speed
            colour = ERROR_COLOUR if note.status == "missed" else TEXT
            axes.barh(note.meant, length, height=1.0, left=begin, fill=False, edgecolor=colour, linewidth=1.2)
        if note.sung:
            colour = ERROR_COLOUR if note.cents is None else _colour(note.cents, IN_TUNE, NEAR)
            axes.barh(note.sung.pitch, last - first, height=0.4, left=first, color=colour)
    pitches = [note.sung.pitch if note.sung else note.meant or 60.0 for note in notes]
    lowest, highest = int(min(pitches)) - 2, int(max(pitches)) + 3
    axes.set_ylim(lowest, highest)
    named = [key for key in range(lowest, highest + 1) if highest - lowest < 20 or key % 12 in {0, 4, 7}]
    axes.set_yticks(named, [pitch_to_name(key) for key in named])


def _draw_bars(axes: Axes, bars: list[tuple[float, float, float]], largest: float, near: float) -> None:
    """Draw a bar for each note, up for more and down for less, and the band that counts as in tune or on time."""
    axes.axhspan(-near, near, color=ESTIMATE_COLOUR, alpha=0.08)
    axes.axhline(0.0, color=TEXT, linewidth=0.6)
    for first, last, off in bars:
        height = min(max(off, -largest), largest)
        axes.bar(first, height, width=last - first, align="edge", color=_colour(off, near, 2.5 * near), alpha=0.9)
    axes.set_ylim(-largest, largest)
