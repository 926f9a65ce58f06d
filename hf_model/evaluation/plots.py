"""Pictures of the evaluation that a person would look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.metrics import NoteErrors
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.plotting import pitch_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VOICE_RATE = 16000
"""Hz, of both sounds in :func:`save_overlay`."""

NIGHT, INK, FRAME = "#0f111c", "#c9cede", "#3a3f55"
VOICE_COLOUR, PIANO_COLOUR = (0.25, 0.65, 1.0), (1.0, 0.55, 0.15)
REFERENCE_COLOUR, ESTIMATE_COLOUR = "#ffffff", "#7dff9a"

LARGEST_SECONDS = 20.0
"""Of a recording, in a picture: the beginning."""


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
        Labels (white outlines) and what was heard (green lines).
    title : str
    """
    from matplotlib.patches import Rectangle

    n_samples = min(len(voice), len(piano), int(LARGEST_SECONDS * VOICE_RATE))
    seconds = n_samples / VOICE_RATE
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
    axes.set_xlabel("seconds", color=INK)
    axes.set_title(title, color=INK, loc="left", fontsize=11)
    legend = "blue: voice   orange: piano   white boxes: labels   green: heard"
    axes.set_title(legend, color=INK, loc="right", fontsize=9)
    _save(figure, path)


def save_error_histograms(path: Path | str, errors: Mapping[str, Sequence[NoteErrors]]) -> None:
    """Draw how far matched notes are off in onset, offset and pitch, one colour a corpus, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), facecolor=NIGHT, layout="constrained")
    panels = figure.subplots(1, 3)
    wanted = (("onset", "onset error, ms", 1000.0, 50.0), ("offset", "offset error, ms", 1000.0, 300.0))
    for axes, (name, label, scale, reach) in zip(
        panels, (*wanted, ("pitch", "pitch error, cents", 100.0, 150.0)), strict=True
    ):
        bins = np.linspace(-reach, reach, 41)
        for corpus, parts in errors.items():
            values = np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0)]) * scale
            if values.size:
                text = f"{corpus}: median {np.median(values):+.0f}"
                share = np.full(values.size, 1 / values.size)
                axes.hist(np.clip(values, -reach, reach), bins, weights=share, histtype="step", lw=1.6, label=text)
        _style(axes)
        axes.axvline(0, color=FRAME, lw=1)
        axes.set_xlabel(label, color=INK)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, facecolor=NIGHT, edgecolor=FRAME, labelcolor=INK)
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
        cell.set_facecolor("#1b2036" if row == 0 else NIGHT)
        cell.set_edgecolor(FRAME)
        cell.get_text().set_color(INK)
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
    _save(figure, path)


def table_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Turn the notes part of a report into a header and rows of text, intervals in brackets."""
    columns = ("con", "conp", "conpoff", "onset_bias", "octave_error_share", "rpa", "rca", "voicing_recall")
    header = [
        "corpus, system",
        "files",
        "COn",
        "COnP",
        "COnPOff",
        "onset bias ms",
        "octave errors",
        "RPA",
        "RCA",
        "voicing",
    ]
    rows = []
    for corpus, systems in report.get("notes", {}).items():
        for system, figures in systems.items():
            if system.startswith("ahead_of_"):
                continue
            row = [f"{corpus}, {system}", str(figures["recordings"])]
            for name in columns:
                scale = 1000 if name == "onset_bias" else 1
                text = (
                    "-"
                    if name not in figures
                    else f"{figures[name] * scale:+.0f}"
                    if scale > 1
                    else f"{figures[name]:.3f}"
                )
                if name in ("con", "conp", "conpoff") and f"{name}_low" in figures:
                    text += f" [{figures[f'{name}_low']:.2f}, {figures[f'{name}_high']:.2f}]"
                row.append(text)
            rows.append(row)
    return header, rows


def sound_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Turn the sound part of a report into a header and rows of text."""
    columns = ("log_mel_distance", "spectral_convergence", "retranscribed_conp", "same_length")
    header = ["corpus, sound", "log-mel distance dB", "spectral convergence", "COnP re-transcribed", "same length"]
    rows = [
        [f"{corpus}, {sound}", *(f"{figures[name]:.3f}" if name in figures else "-" for name in columns)]
        for corpus, sounds in report.get("sound", {}).items()
        for sound, figures in sounds.items()
    ]
    return header, rows


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=NIGHT, layout="constrained")
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.set_facecolor(NIGHT)
    axes.tick_params(colors=INK, labelsize=9)
    for side in axes.spines.values():
        side.set_color(FRAME)


def _save(figure: Figure, path: Path | str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(str(path), format="png", dpi=100, facecolor=NIGHT, metadata={"Software": None}, bbox_inches="tight")
