"""The report of the evaluation: pictures, tables of text, and small tables for DVC."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.evaluation.calibration import calibration_report
from hf_model.evaluation.error_analysis import KINDS, classify_errors
from hf_model.evaluation.evaluate import OURS, Measured
from hf_model.evaluation.note_matching import RULES
from hf_model.evaluation.plots import save_error_histograms, save_overlay, save_table
from hf_model.evaluation.render_test_set import spread

NOTE_COLUMNS = {
    "con": "COn",
    "conp": "COnP",
    "conpoff": "COnPOff",
    "onset_bias": "onset bias ms",
    "octave_error_share": "octave errors",
    "rpa": "RPA",
    "rca": "RCA",
    "voicing_recall": "voicing",
}
SOUND_COLUMNS = {
    "log_mel_distance": "log-mel distance dB",
    "spectral_convergence": "spectral convergence",
    "retranscribed_conp": "COnP re-transcribed",
    "piano_share": "called a piano",
    "same_length": "same length",
}
"""Figures of the tables, and how their columns are named."""

SUMMARY_NOTES = ("con", "conp", "conpoff")
SUMMARY_SOUNDS = ("neural", "direct")

ERROR_COLUMNS = ("corpus", "kind", "errors", "per_100_notes")
RELIABILITY_COLUMNS = ("corpus", "confidence", "share_correct", "notes")


def draw_pictures(
    measured: Sequence[Measured], report: Mapping[str, Any], rendered: Path, folder: Path, n_pictures: int
) -> None:
    """Write all pictures.

    Parameters
    ----------
    measured, report
        Of :mod:`hf_model.evaluation.evaluate`.
    rendered : Path
        Output of the render stage.
    folder : Path
        Gets ``table.png``, ``sounds.png``, ``errors.png`` and ``voice_and_piano_<corpus>_<pair_id>.png``.
    n_pictures : int
        Recordings of each corpus to draw.
    """
    save_table(folder / "table.png", *table_rows(report))
    save_table(folder / "sounds.png", *sound_rows(report))
    corpora = sorted({one.item.corpus for one in measured})
    labelled = {
        corpus: [one.errors for one in measured if one.item.corpus == corpus and one.scores] for corpus in corpora
    }
    save_error_histograms(folder / "errors.png", {corpus: parts for corpus, parts in labelled.items() if parts})
    for corpus in corpora:
        for one in spread([one for one in measured if one.item.corpus == corpus], n_pictures) if n_pictures else ():
            piano = one.item.path(rendered, "_sampled.wav")
            if piano.is_file():
                scores = one.scores.get(OURS)
                marks = "" if scores is None else f"   COnP {scores['conp']:.2f}   COnPOff {scores['conpoff']:.2f}"
                name = f"voice_and_piano_{corpus}_{one.item.pair_id}"
                save_overlay(
                    folder / f"{name}.png",
                    _at_voice_rate(one.item.voice),
                    _at_voice_rate(piano),
                    one.item.notes,
                    one.notes,
                    f"{corpus} {one.item.pair_id}{marks}",
                )


def _at_voice_rate(path: Path | str) -> Any:
    audio, sample_rate = read_audio(path)
    return resample(to_mono(audio), sample_rate, VOICE_STFT.sample_rate)


def recording_rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Give one row for each recording and system.

    Returns
    -------
    list of dict
        ``corpus``, ``pair_id``, ``system``; ``seconds`` and labelled ``notes`` of the recording; and the figures of
        :func:`hf_model.evaluation.evaluate.transcription_scores`, which may be NaN.
    """
    return [
        {
            "corpus": one.item.corpus,
            "pair_id": one.item.pair_id,
            "system": system,
            "seconds": round(one.item.n_samples / PIANO_SAMPLE_RATE, 3),
            "notes": len(one.item.notes),
            **figures,
        }
        for one in measured
        for system, figures in one.scores.items()
    ]


def write_recordings(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of all recordings: as CSV with four digits, NaN left empty; or as Parquet, for DataFrames."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), str(path), compression="zstd")
        return
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["corpus", "pair_id", "system"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)


def _csv_cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.4f}"


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the figures that tell one experiment from another.

    Parameters
    ----------
    report : mapping
        Of :func:`hf_model.evaluation.evaluate.summarize`.

    Returns
    -------
    dict
        ``<corpus>.con``, ``conp``, ``conpoff`` of the transcriber, and for each neural sound ``<sound>_log_mel_db``,
        the mean over the corpora.
    """
    figures: dict[str, Any] = {
        corpus: {name: systems[OURS][name] for name in SUMMARY_NOTES if name in systems.get(OURS, {})}
        for corpus, systems in report.get("notes", {}).items()
    }
    for sound in SUMMARY_SOUNDS:
        rows = [sounds.get(sound, {}) for sounds in report.get("sound", {}).values()]
        values = [row["log_mel_distance"] for row in rows if "log_mel_distance" in row]
        if values:
            figures[f"{sound}_log_mel_db"] = round(sum(values) / len(values), 4)
    return figures


def error_rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Count the transcriber's errors of each corpus by kind, also as a share of its labelled notes."""
    rows = []
    for corpus, recordings in _labelled(measured).items():
        counts = Counter(outcome.kind for one in recordings for outcome in classify_errors(one.item.notes, one.notes))
        n_notes = max(1, sum(len(one.item.notes) for one in recordings))
        rows += [
            {
                "corpus": corpus,
                "kind": kind,
                "errors": counts[kind],
                "per_100_notes": round(100 * counts[kind] / n_notes, 2),
            }
            for kind in KINDS
        ]
    return rows


def reliability_rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Give the share of correct notes by confidence, in tenths, for each corpus."""
    rows = []
    for corpus, recordings in _labelled(measured).items():
        report = calibration_report([(list(one.item.notes), one.notes) for one in recordings])
        rows += [
            {
                "corpus": corpus,
                "confidence": part["confidence"],
                "share_correct": part["right"]["mean"],
                "notes": part["notes"],
            }
            for part in report["bins"]
        ]
    return rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as CSV; it has at least its header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _labelled(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Group the recordings with labels and scores by corpus."""
    groups: dict[str, list[Measured]] = {}
    for one in measured:
        if one.scores and one.item.notes:
            groups.setdefault(one.item.corpus, []).append(one)
    return dict(sorted(groups.items()))


def table_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Turn the notes part of a report into a header and rows of text, intervals in brackets."""
    header = ["corpus, system", "files", *NOTE_COLUMNS.values()]
    rows = []
    for corpus, systems in report.get("notes", {}).items():
        for system, figures in systems.items():
            if not system.startswith("ahead_of_"):
                cells = [_note_cell(figures, name) for name in NOTE_COLUMNS]
                rows.append([f"{corpus}, {system}", str(figures["recordings"]), *cells])
    return header, rows


def _note_cell(figures: Mapping[str, float], name: str) -> str:
    if name not in figures:
        return "-"
    if name == "onset_bias":
        return f"{1000 * figures[name]:+.0f}"
    text = f"{figures[name]:.3f}"
    if name in RULES and f"{name}_low" in figures:
        text += f" [{figures[f'{name}_low']:.2f}, {figures[f'{name}_high']:.2f}]"
    return text


def sound_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Turn the sound part of a report into a header and rows of text."""
    rows = [
        [
            f"{corpus}, {sound}",
            *(f"{figures[name]:.3f}" if name in figures else "-" for name in SOUND_COLUMNS),
        ]
        for corpus, sounds in report.get("sound", {}).items()
        for sound, figures in sounds.items()
    ]
    return ["corpus, sound", *SOUND_COLUMNS.values()], rows


def markdown_table(header: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Write the lines of a markdown table; the columns of the header are separated by " | "."""
    rule = "|---" * (header.count("|") + 1) + "|"
    return [f"| {header} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def format_interval(figure: Mapping[str, float | None], digits: int = 3, sign: str = "") -> str:
    """Write a mean with its interval, "?" for what is not known; without the leading zero of three digits: .912."""
    mean, low, high = (format_number(figure[name], digits, sign) for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def format_number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """Write a number as :func:`format_interval` does."""
    if value is None:
        return "?"
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if digits == 3 and text.startswith(("0.", "-0.")) else text
