"""Pictures of the transcriber's figures: the worst excerpts, and how much a confidence is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from transcriber_errors import SECONDS, Excerpt

from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.error_analysis import RIGHT
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.plotting import FRAME, INK, NIGHT, pitch_spectrogram
from hf_model.transcriber.network import Transcriber

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL, HEARD, WRONG = "#ffffff", "#ffb84d", "#ff5cc8"
CURVES = (("onset", "#ffb84d"), ("offset", "#7fb4ff"), ("voicing", "#7dff9a"))
SYSTEMS = {"ssvd": "#4fa3c7", "csd": "#ffb84d"}
DPI, COLOURS = 80, 128
LEAST_SEMITONES = 14
ENOUGH = 8
"""Notes of a confidence whose share of right ones is drawn."""


def save_excerpt(path: Path, excerpt: Excerpt, voice: NDArray[np.float32], model: Transcriber, number: int) -> None:
    """Draw six seconds: spectrogram, labels, what was heard, what is wrong with it, and the network's curves.

    Parameters
    ----------
    voice : ndarray, shape (sample,)
        The whole recording, mono at 16 kHz.
    """
    from matplotlib.figure import Figure

    start, stop = excerpt.start, excerpt.start + SECONDS
    shown = {
        name: [note for note in notes if note.offset > start and note.onset < stop]
        for name, notes in (("labels", excerpt.judged.reference), ("heard", excerpt.judged.estimate))
    }
    low, high = _range([note.pitch for notes in shown.values() for note in notes])
    rate = VOICE_STFT.sample_rate
    piece = np.pad(voice, (0, rate * 7))[round(start * rate) : round(stop * rate)]
    figure = Figure(figsize=(11.5, 5.6), facecolor=NIGHT, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.imshow(
        pitch_spectrogram(piece, low, high),
        origin="lower",
        aspect="auto",
        cmap=_dim(),
        vmin=-45.0,
        vmax=0.0,
        extent=(start, stop, low, high),
    )
    _draw_notes(above, shown["labels"], shown["heard"])
    _name_mistakes(above, excerpt, low, high)
    keys = [key for key in range(int(low), int(high) + 1) if key % 12 in (0, 2, 4, 5, 7, 9, 11)]
    above.set_yticks(keys, [pitch_to_name(key) for key in keys])
    above.set_ylim(low, high)
    onset, offset, voicing, _ = model.posteriors(voice)
    seconds = np.arange(len(onset)) / VOICE_STFT.frame_rate
    for (name, colour), curve in zip(CURVES, (onset, offset, voicing), strict=True):
        below.plot(seconds, curve, color=colour, lw=1.0, label=name, alpha=0.6 if name == "voicing" else 1.0)
    below.set_ylim(-0.03, 1.03)
    below.set_xlim(start, stop)
    below.set_xlabel("seconds", color=INK)
    below.legend(fontsize=8, loc="upper right", facecolor=NIGHT, edgecolor=FRAME, labelcolor=INK, ncols=3)
    recording = excerpt.judged.recording
    right = sum(one.kind == RIGHT for one in excerpt.verdicts)
    title = f"{number}. {recording.corpus} {recording.name}: {len(excerpt.mistakes)} mistakes, {right} notes right"
    above.set_title(title, color=INK, loc="left", fontsize=11)
    above.set_title("white: labels   orange: heard   pink: what is wrong", color=INK, loc="right", fontsize=9)
    for axes in (above, below):
        _style(axes)
    save_small(figure, path)


def _range(pitches: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest pitch to show; a few notes that are far off (octaves) may widen it to two octaves and more."""
    low, high = (min(pitches) - 4, max(pitches) + 4) if pitches else (55, 69)
    missing = max(0.0, LEAST_SEMITONES - (high - low))
    return float(np.floor(low - missing / 2)), float(np.ceil(high + missing / 2))


def _draw_notes(axes: Axes, labels: Sequence[Note], heard: Sequence[Note]) -> None:
    from matplotlib.patches import Rectangle

    for note in labels:
        axes.add_patch(Rectangle((note.onset, note.pitch - 0.5), note.duration, 1.0, fill=False, ec=LABEL, lw=1.3))
    for note in heard:
        box = Rectangle((note.onset, note.pitch - 0.2), note.duration, 0.4, fc=HEARD, ec=NIGHT, lw=0.6, alpha=0.9)
        axes.add_patch(box)
        axes.plot([note.onset] * 2, [note.pitch - 0.7, note.pitch + 0.7], color=HEARD, lw=1.6)


def _name_mistakes(axes: Axes, excerpt: Excerpt, low: float, high: float) -> None:
    """Write each mistake over its note; a word higher where the one before would run into it."""
    line, letter = 0.045 * (high - low), 0.04  # height of a word, seconds of a letter
    ends: list[tuple[float, float]] = []  # seconds and height of the words before
    for one in sorted(excerpt.mistakes, key=lambda verdict: verdict.onset):
        note = one.reference or one.estimate
        if note is None:
            continue
        start = max(note.onset, excerpt.start + 0.02)
        height = min(note.pitch + 0.75, high - 1.2 * line)
        while any(end > start and abs(other - height) < line for end, other in ends):
            height += line if height + 2.2 * line < high else -5 * line
        ends.append((start + letter * len(one.kind), height))
        box = {"facecolor": NIGHT, "edgecolor": "none", "pad": 0.6, "alpha": 0.75}
        axes.text(start, height, one.kind, color=WRONG, fontsize=8, va="bottom", clip_on=True, bbox=box, zorder=5)


def save_reliability(path: Path, report: Mapping[str, Any]) -> None:
    """Draw how many notes are right at each confidence, where there are enough, and how many notes there are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 6.2), facecolor=NIGHT, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color=FRAME, lw=1.2, ls="--")
    for place, (name, part) in enumerate(report.items()):
        colour = list(SYSTEMS.values())[place % len(SYSTEMS)]
        bins = [one for one in part["bins"] if one["notes"] >= ENOUGH]
        x = [one["confidence"] for one in bins]
        y = [one["right"]["mean"] for one in bins]
        reach = [[max(0.0, one["right"]["mean"] - one["right"]["low"]) for one in bins]]
        reach += [[max(0.0, one["right"]["high"] - one["right"]["mean"]) for one in bins]]
        text = f"{name}: {part['notes']} notes, calibration error {part['calibration_error']['mean']:.3f}"
        above.errorbar(x, y, yerr=reach, color=colour, marker="o", ms=5, lw=1.4, capsize=3, label=text)
        share = [100 * one["notes"] / part["notes"] for one in part["bins"]]
        middles = [0.5 * (one["from"] + one["to"]) + 0.02 * (2 * place - 1) for one in part["bins"]]
        below.bar(middles, share, width=0.036, color=colour)
    above.set_ylim(0, 1.02)
    above.set_xlim(0, 1)
    above.set_ylabel("share of notes right in onset and pitch", color=INK)
    above.legend(fontsize=9, loc="upper left", facecolor=NIGHT, edgecolor=FRAME, labelcolor=INK)
    above.set_title("dashed: a confidence that means what it says", color=INK, loc="right", fontsize=9)
    below.set_xlabel("confidence of the note", color=INK)
    below.set_ylabel("% of notes", color=INK)
    for axes in (above, below):
        _style(axes)
    save_small(figure, path)


def save_small(figure: Figure, path: Path) -> None:
    """Write a PNG of few colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def _style(axes: Axes) -> None:
    axes.set_facecolor(NIGHT)
    axes.tick_params(colors=INK, labelsize=9)
    for side in axes.spines.values():
        side.set_color(FRAME)


def _dim() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("dim", [NIGHT, "#151c40", "#233a7a", "#3b78a5", "#9fd0d8"])
