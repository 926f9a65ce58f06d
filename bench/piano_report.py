"""The comparison of pianos as markdown tables, pictures, and runs in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from piano_melodies import SECONDS
from piano_pianos import Audio

from hf_model.audio.io import read_audio
from hf_model.audio.spectrogram import magnitude
from hf_model.evaluation.audio_metrics import MEL_HOP, MEL_N_FFT, mel_filters
from hf_model.notes.note import Note
from hf_model.piano.rendering import SAMPLE_RATE, Renderer

SHOWN = ("reference", "sampled", "neural", "direct")
ORDER = ("reference", "sampled", "neural", "table alone", "direct")
PICTURE_SECONDS = 8.0


MELODIES = (
    "piano | channels | log-mel, dB | worst | convergence | complex convergence | SI-SDR, dB | log-mel L, R, dB "
    "| convergence L, R | COnP by basic-pitch, minus reference's | COnP by the in-tree ear, minus reference's"
)
NOTES = (
    "piano | rise 10-90 %, mean / worst difference | within 5 ms "
    "| decay of partials, median / 95th percentile of the difference | within 15 % | log-mel of single notes, dB"
)
KEYBOARD = "piano | largest sample step / reference's, median, worst | finite | mean / peak, worst (reference)"
COST = "piano | times real time | per CPU second | weights, MB | peak memory, 2 and 10 minutes, MB"
"""Heads of the tables."""


def markdown(report: Mapping[str, Any]) -> str:
    """Write one table a part."""
    lines = [f"Reference: {report['reference']}; {len(report['songs'])} melodies of {SECONDS} s.", ""]
    if "melodies" in report:
        note = "Channels averaged; under L, R each channel of the reference against what is played on that side."
        lines += [note, "", *table(MELODIES, report["melodies"], _melody_cells), ""]
    if "notes" in report:
        lines += [*table(NOTES, report["notes"], _note_cells), ""]
    if "keyboard" in report:
        lines += [*table(KEYBOARD, report["keyboard"], _keyboard_cells), ""]
    if "cost" in report:
        lines += table(COST, report["cost"], _cost_cells)
    return "\n".join(lines) + "\n"


def table(head: str, rows: Mapping[str, Any], cells: Callable[[Mapping[str, Any]], list[str]]) -> list[str]:
    """Write a head, and for each piano its name and what ``cells`` makes of its figures."""
    lines = [f"| {head} |", "|---" * (head.count("|") + 1) + "|"]
    return lines + [f"| {' | '.join([name, *cells(row)])} |" for name, row in in_order(rows)]


def _melody_cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['channels']['mean']:.0f}",
        interval(row["log_mel"], 2),
        f"{row['log_mel']['most']:.2f}",
        interval(row["convergence"], 3),
        interval(row["complex"], 3),
        interval(row["si_sdr"], 1),
        f"{row['log_mel_channels']['mean']:.2f}",
        f"{row['convergence_channels']['mean']:.3f}",
        *(interval(row.get(f"conp_{ear}_difference"), 3) for ear in ("basic_pitch", "own")),
    ]


def _note_cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['rise_mean_ms']:.1f} / {row['rise_worst_ms']:.1f} ms",
        f"{row['rise_within_5_ms_percent']:.1f} % of {row['notes']:.0f} notes",
        f"{row['decay_median_percent']:.1f} / {row['decay_95th_percent']:.1f} %",
        f"{row['decay_within_15_percent']:.1f} % of {row['partials']:.0f} partials",
        f"{row['log_mel']:.2f}",
    ]


def _keyboard_cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['step_ratio_median']:.2f}, {row['step_ratio_worst']:.2f}",
        str(row["finite"]),
        f"{row['offset_worst']:.4f} ({row['offset_worst_of_reference']:.4f})",
    ]


def _cost_cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['times_real_time']:.0f}",
        f"{row['seconds_per_cpu_second']:.0f}",
        str(row.get("weights_mb", "")),
        ", ".join(f"{row[key]:.0f}" for key in row if key.startswith("memory")),
    ]


def in_order(rows: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List the pianos first, then the yardsticks."""
    return sorted(rows.items(), key=lambda item: (ORDER.index(item[0]) if item[0] in ORDER else len(ORDER), item[0]))


def interval(figure: Mapping[str, float] | None, digits: int) -> str:
    """Write a mean with its interval."""
    if figure is None:
        return ""
    return f"{figure['mean']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def save_pictures(folder: Path, reference: Renderer, pianos: Mapping[str, Renderer], sounds: Path) -> None:
    """Draw the first melody and a single low note, one panel a piano, as small PNG."""
    found = {name: sorted(sounds.glob(f"*-{name}.flac")) for name in SHOWN}
    melody = {name: read_audio(paths[0])[0].mean(axis=0) for name, paths in found.items() if paths}
    if melody:
        draw(folder / "melody.png", melody, PICTURE_SECONDS, "the first held-out melody (direct: as it was sung)")
    chord = [Note(0.1 + 0.02 * i, 2.5, key, 96) for i, key in enumerate((36, 55, 64, 72))]
    shown = {"reference": reference, **{name: piano for name, piano in pianos.items() if name in SHOWN}}
    played = {name: piano.render(chord, 3 * SAMPLE_RATE).mean(axis=0) for name, piano in shown.items()}
    draw(folder / "chord.png", played, 3.0, "a chord, struck and released")


def draw(path: Path, sounds: Mapping[str, Audio], seconds: float, title: str) -> None:
    """Draw mel spectrograms side by side: 60 dB below the first one's peak."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(3.0 * len(sounds), 3.4), layout="constrained")
    levels = {
        name: 10.0
        * np.log10(mel_filters() @ magnitude(audio[: int(seconds * SAMPLE_RATE)], MEL_N_FFT, MEL_HOP) ** 2 + 1e-12)
        for name, audio in sounds.items()
    }
    top = next(iter(levels.values())).max()
    for place, (name, level) in enumerate(levels.items()):
        axes = figure.add_subplot(1, len(sounds), place + 1)
        axes.imshow(level, origin="lower", aspect="auto", vmin=top - 60, vmax=top, extent=(0, seconds, 0, len(level)))
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_xlabel("seconds")
        if place == 0:
            axes.set_ylabel("mel band (to 16 kHz)")
        else:
            axes.set_yticks([])
    figure.suptitle(title, fontsize=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    image.quantize(64).save(path, optimize=True)


def track(report: Mapping[str, Any], sounds: Path, pictures: Path | None) -> None:
    """Keep figures, sounds and pictures in MLflow: a run a piano, so that MLflow lays them side by side."""
    from stages.tracking import runs

    names = sorted({name for part in ("melodies", "notes", "keyboard", "cost") for name in report.get(part, {})})
    for name in names:
        plain = "".join(letter for letter in name.replace(" ", "-") if letter.isalnum() or letter == "-")
        tracker = runs.begin(f"piano-{plain}", "bench", {"reference": report["reference"]}, resumed=False)
        if tracker.client is None:
            return
        rows = {part: report[part][name] for part in report if isinstance(report[part], dict) and name in report[part]}
        tracker.log_figures({key: float(value) for key, value in runs.flat(rows).items()})
        for path in sorted(sounds.glob(f"*-{plain}.flac")):
            tracker.log_artifact(path, "sounds")
        for path in sorted(pictures.glob("*.png")) if pictures else ():
            tracker.log_artifact(path, "pictures")
        tracker.finish()
