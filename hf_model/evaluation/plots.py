"""The pictures of the evaluation: notes over spectrograms, errors, confidences, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.error_analysis import RIGHT
from hf_model.evaluation.error_report import EXCERPT_SECONDS, Excerpt
from hf_model.evaluation.metrics import NoteErrors
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.plotting import (
    ACCENT,
    BACKGROUND,
    DIM_SPECTROGRAM_COLOURS,
    ERROR_COLOUR,
    ESTIMATE_COLOUR,
    FRAME,
    PIANO_COLOUR,
    REFERENCE_COLOUR,
    SPECTROGRAM_COLOURS,
    TABLE_HEADER,
    TEXT,
    VOICE_COLOUR,
    pitch_spectrogram,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SECONDS = 20.0
"""Of a recording in a picture; only its beginning is drawn."""

CURVES = {"onset": ACCENT, "offset": "#7fb4ff", "voicing": ESTIMATE_COLOUR}
CORPUS_COLOURS = (SPECTROGRAM_COLOURS[3], ACCENT)

MIN_SEMITONES = 14
"""Height of an excerpt."""

MIN_NOTES = 8
"""Notes of a confidence that are needed to draw their share of correct ones."""

SMALL_DPI, SMALL_COLOURS = 80, 128


def save_overlay(
    path: Path | str,
    voice: NDArray[np.float32],
    piano: NDArray[np.float32],
    reference: Sequence[Note],
    estimate: Sequence[Note],
    title: str,
) -> None:
    """Draw voice and piano spectrograms over each other with both note tracks, as PNG.

    Parameters
    ----------
    path : path
    voice, piano : ndarray, shape (sample,)
        At 16 kHz; the voice is drawn in blue, the piano in orange, what both have in white.
    reference, estimate : sequence of Note
        Labels (white outlines) and estimated notes (green lines).
    title : str
    """
    from matplotlib.patches import Rectangle

    n_samples = min(len(voice), len(piano), int(MAX_SECONDS * VOICE_STFT.sample_rate))
    seconds = n_samples / VOICE_STFT.sample_rate
    shown = [note for note in [*reference, *estimate] if note.onset < seconds]
    low = min((note.pitch for note in shown), default=55.0) - 3
    high = max((note.pitch for note in shown), default=72.0) + 9
    lowest, highest = int(np.floor(low)), int(np.ceil(high))
    layers = [
        1 + np.clip(pitch_spectrogram(sound[:n_samples], lowest, highest) / 45, -1, 0) for sound in (voice, piano)
    ]
    columns = min(layer.shape[1] for layer in layers)
    colours = (VOICE_COLOUR, PIANO_COLOUR)
    image = sum(
        layer[:, :columns, None] ** 1.5 * np.array(colour) for layer, colour in zip(layers, colours, strict=True)
    )
    figure, axes = _figure(max(8.0, 0.7 * seconds), 5.0)
    axes.imshow(np.clip(image, 0, 1), origin="lower", aspect="auto", extent=(0, seconds, lowest, highest))
    for note in reference:
        box = Rectangle((note.onset, note.pitch - 0.5), note.duration, 1.0, fill=False, ec=REFERENCE_COLOUR, lw=1.2)
        axes.add_patch(box)
    for note in estimate:
        axes.plot([note.onset, note.offset], [note.pitch, note.pitch], color=ESTIMATE_COLOUR, lw=2.5)
        axes.plot([note.onset], [note.pitch], "|", color=ESTIMATE_COLOUR, ms=12, mew=2)
    axes.set_xlim(0, seconds)
    axes.set_ylim(lowest, highest)
    octaves = [key for key in range(lowest, highest + 1) if key % 12 in (0, 4, 7)]
    axes.set_yticks(octaves, [pitch_to_name(key) for key in octaves])
    axes.set_xlabel("seconds", color=TEXT)
    axes.set_title(title, color=TEXT, loc="left", fontsize=11)
    legend = "blue: voice   orange: piano   white boxes: labels   green: transcribed"
    axes.set_title(legend, color=TEXT, loc="right", fontsize=9)
    _save(figure, path)


def save_error_histograms(path: Path | str, errors: Mapping[str, Sequence[NoteErrors]]) -> None:
    """Draw histograms of the errors of matched notes in onset, offset and pitch, one colour a corpus, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), facecolor=BACKGROUND, layout="constrained")
    panels = figure.subplots(1, 3)
    kinds = (
        ("onset", "onset error, ms", 1000.0, 50.0),
        ("offset", "offset error, ms", 1000.0, 300.0),
        ("pitch", "pitch error, cents", 100.0, 150.0),
    )
    for axes, (name, label, scale, reach) in zip(panels, kinds, strict=True):
        bins = np.linspace(-reach, reach, 41)
        for corpus, parts in errors.items():
            values = np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0)]) * scale
            if values.size:
                text = f"{corpus}: median {np.median(values):+.0f}"
                share = np.full(values.size, 1 / values.size)
                axes.hist(np.clip(values, -reach, reach), bins, weights=share, histtype="step", lw=1.6, label=text)
        style_axes(axes)
        axes.axvline(0, color=FRAME, lw=1)
        axes.set_xlabel(label, color=TEXT)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, facecolor=BACKGROUND, edgecolor=FRAME, labelcolor=TEXT)
    _save(figure, path)


def save_table(path: Path | str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table of text as PNG; the first column is left-aligned."""
    rows = rows or [["nothing"] + ["-"] * (len(header) - 1)]
    figure, axes = _figure(1.0 + 1.45 * len(header), 0.6 + 0.32 * len(rows))
    axes.axis("off")
    table = axes.table(cellText=[list(row) for row in rows], colLabels=list(header), loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.auto_set_column_width(list(range(len(header))))
    table.scale(1.0, 1.35)
    for (row, column), cell in table.get_celld().items():
        cell.set_facecolor(TABLE_HEADER if row == 0 else BACKGROUND)
        cell.set_edgecolor(FRAME)
        cell.get_text().set_color(TEXT)
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
    _save(figure, path)


def save_excerpt(
    path: Path, excerpt: Excerpt, voice: NDArray[np.float32], posteriors: Mapping[str, NDArray[np.float32]], number: int
) -> None:
    """Draw six seconds: spectrogram, labels, estimated notes, their errors, and the network's posteriors.

    Parameters
    ----------
    path : path
    excerpt : Excerpt
    voice : ndarray, shape (sample,)
        The whole recording, mono at 16 kHz.
    posteriors : mapping
        "onset", "offset" and "voicing" of the whole recording: ndarray, shape (frame,), 0-1.
    number : int
        In the title.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    start, stop, rate = excerpt.start, excerpt.start + EXCERPT_SECONDS, VOICE_STFT.sample_rate
    one = excerpt.transcription
    labels, estimate = (
        [note for note in notes if note.offset > start and note.onset < stop] for notes in (one.reference, one.estimate)
    )
    low, high = _pitch_range([note.pitch for note in (*labels, *estimate)])
    figure = Figure(figsize=(11.5, 5.6), facecolor=BACKGROUND, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.imshow(
        pitch_spectrogram(np.pad(voice, (0, rate * 7))[round(start * rate) : round(stop * rate)], low, high),
        origin="lower",
        aspect="auto",
        cmap=LinearSegmentedColormap.from_list("dim", DIM_SPECTROGRAM_COLOURS),
        vmin=-45.0,
        vmax=0.0,
        extent=(start, stop, low, high),
    )
    _draw_notes(above, labels, estimate)
    _name_errors(above, excerpt, low, high)
    keys = [key for key in range(int(low), int(high) + 1) if key % 12 in (0, 2, 4, 5, 7, 9, 11)]
    above.set_yticks(keys, [pitch_to_name(key) for key in keys])
    above.set_ylim(low, high)
    for name, colour in CURVES.items():
        seconds = np.arange(len(posteriors[name])) / VOICE_STFT.frame_rate
        below.plot(seconds, posteriors[name], color=colour, lw=1.0, label=name, alpha=0.6 if name == "voicing" else 1.0)
    below.set_ylim(-0.03, 1.03)
    below.set_xlim(start, stop)
    below.set_xlabel("seconds", color=TEXT)
    below.legend(fontsize=8, loc="upper right", facecolor=BACKGROUND, edgecolor=FRAME, labelcolor=TEXT, ncols=3)
    right = sum(outcome.kind == RIGHT for outcome in excerpt.outcomes)
    title = f"{number}. {one.corpus} {one.name}: {len(excerpt.errors)} errors, {right} notes right"
    above.set_title(title, color=TEXT, loc="left", fontsize=11)
    above.set_title("white: labels   orange: transcribed   pink: errors", color=TEXT, loc="right", fontsize=9)
    for axes in (above, below):
        style_axes(axes)
    save_small(figure, path)


def save_reliability(path: Path, report: Mapping[str, Any]) -> None:
    """Draw the share of correct notes, and the number of notes, by confidence.

    Parameters
    ----------
    path : path
    report : mapping
        What :func:`hf_model.evaluation.calibration.calibration_report` returns, by corpus.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 6.2), facecolor=BACKGROUND, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color=FRAME, lw=1.2, ls="--")
    for place, (name, part) in enumerate(report.items()):
        colour = CORPUS_COLOURS[place % len(CORPUS_COLOURS)]
        bins = [one for one in part["bins"] if one["notes"] >= MIN_NOTES]
        x, y = [one["confidence"] for one in bins], [one["right"]["mean"] for one in bins]
        reach = [[max(0.0, one["right"]["mean"] - one["right"]["low"]) for one in bins]]
        reach += [[max(0.0, one["right"]["high"] - one["right"]["mean"]) for one in bins]]
        text = f"{name}: {part['notes']} notes, calibration error {part['calibration_error']['mean']:.3f}"
        above.errorbar(x, y, yerr=reach, color=colour, marker="o", ms=5, lw=1.4, capsize=3, label=text)
        share = [100 * one["notes"] / part["notes"] for one in part["bins"]]
        middles = [0.5 * (one["from"] + one["to"]) + 0.02 * (2 * place - 1) for one in part["bins"]]
        below.bar(middles, share, width=0.036, color=colour)
    above.set_ylim(0, 1.02)
    above.set_xlim(0, 1)
    above.set_ylabel("share of notes right in onset and pitch", color=TEXT)
    above.legend(fontsize=9, loc="upper left", facecolor=BACKGROUND, edgecolor=FRAME, labelcolor=TEXT)
    above.set_title("dashed: perfect calibration", color=TEXT, loc="right", fontsize=9)
    below.set_xlabel("confidence of the note", color=TEXT)
    below.set_ylabel("% of notes", color=TEXT)
    for axes in (above, below):
        style_axes(axes)
    save_small(figure, path)


def save_small(figure: Figure, path: Path, colours: int = SMALL_COLOURS) -> None:
    """Write a PNG with few colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(SMALL_DPI)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def _pitch_range(pitches: Sequence[float]) -> tuple[float, float]:
    low, high = (min(pitches) - 4, max(pitches) + 4) if pitches else (55, 69)
    missing = max(0.0, MIN_SEMITONES - (high - low))
    return float(np.floor(low - missing / 2)), float(np.ceil(high + missing / 2))


def _draw_notes(axes: Axes, labels: Sequence[Note], estimate: Sequence[Note]) -> None:
    from matplotlib.patches import Rectangle

    for note in labels:
        corner = (note.onset, note.pitch - 0.5)
        axes.add_patch(Rectangle(corner, note.duration, 1.0, fill=False, ec=REFERENCE_COLOUR, lw=1.3))
    for note in estimate:
        corner = (note.onset, note.pitch - 0.2)
        axes.add_patch(Rectangle(corner, note.duration, 0.4, fc=ACCENT, ec=BACKGROUND, lw=0.6, alpha=0.9))
        axes.plot([note.onset] * 2, [note.pitch - 0.7, note.pitch + 0.7], color=ACCENT, lw=1.6)


def _name_errors(axes: Axes, excerpt: Excerpt, low: float, high: float) -> None:
    """Write the kind of each error over its note; higher where it would overlap the one before."""
    line, letter = 0.045 * (high - low), 0.04  # height of a word, seconds of a letter
    ends: list[tuple[float, float]] = []  # seconds and height of the words before
    for one in sorted(excerpt.errors, key=lambda outcome: outcome.onset):
        note = one.reference or one.estimate
        if note is None:
            continue
        start = max(note.onset, excerpt.start + 0.02)
        height = min(note.pitch + 0.75, high - 1.2 * line)
        while any(end > start and abs(other - height) < line for end, other in ends):
            height += line if height + 2.2 * line < high else -5 * line
        ends.append((start + letter * len(one.kind), height))
        box = {"facecolor": BACKGROUND, "edgecolor": "none", "pad": 0.6, "alpha": 0.75}
        axes.text(
            start, height, one.kind, color=ERROR_COLOUR, fontsize=8, va="bottom", clip_on=True, bbox=box, zorder=5
        )


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def _save(figure: Figure, path: Path | str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(
        str(path), format="png", dpi=100, facecolor=BACKGROUND, metadata={"Software": None}, bbox_inches="tight"
    )
