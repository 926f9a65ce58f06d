"""The figures of ``accuracy`` as markdown: table.md, and the tables inside README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.transcription.recordings import CORRECTED, PUBLISHED
from bench.transcription.systems import FOLDS, MADE, MADE_CSD, SHIPS_CSD, TITLES
from hf_model.evaluation.error_analysis import KINDS, RIGHT
from hf_model.evaluation.note_matching import RULES
from hf_model.evaluation.report import format_interval, format_number, markdown_table

BEGIN, END = "<!-- tables: written by python -m bench accuracy -->", "<!-- end of tables -->"
COMMAND = "python -m bench accuracy --mirror FOLDER --parts"
AS_TRANSCRIBED, LEGATO = "as heard", "--legato"
"""Keys of figures.json."""

Figures = Mapping[str, Any]


def write_report(folder: Path, report: Figures) -> str:
    """Write table.md, put the tables into README.md if it is there, and return them."""
    text = markdown(report)
    (folder / "table.md").write_text(text, encoding="utf-8")
    readme = folder / "README.md"
    if readme.is_file():
        before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
        if rest:
            readme.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return text


def markdown(report: Figures) -> str:
    """Write every part that was measured."""
    parts: dict[str, Callable[[Figures], list[str]]] = {
        "Clean recordings": _clean,
        "Worse recordings": _conditions,
        "Errors": _errors,
        "Confidence": _confidence,
    }
    lines: list[str] = []
    for title, write in parts.items():
        found = write(report)
        if found:
            lines += [f"### {title}", "", *found, ""]
    return "\n".join(lines)


def _clean(report: Figures) -> list[str]:
    rows = []
    for part in (MADE, FOLDS):
        for name, figures in report.get(part, {}).get("figures", {}).items():
            rows.append([f"{TITLES[part]}, {name}", *_score_cells(figures)])
    for name in (SHIPS_CSD, MADE_CSD):
        for key, way in ((AS_TRANSCRIBED, "as transcribed"), (LEGATO, "`--legato`")):
            found = report.get("csd", {}).get(name, {}).get(key)
            if found:
                rows.append([f"{TITLES[name]}, {way}", *_score_cells(found)])
    head = "labels | recordings, notes | COn | COnP | COnPOff | pooled | octave errors | onset bias | offset bias"
    return [*markdown_table(head, rows), "", f"`{COMMAND} made folds csd`"] if rows else []


def _score_cells(figures: Figures) -> list[str]:
    return [
        f"{figures['recordings']}, {figures['notes']}",
        *(format_interval(figures[name]) for name in RULES),
        " / ".join(format_number(figures[name]["pooled"]) for name in RULES),
        *_error_cells(figures),
    ]


def _error_cells(figures: Figures) -> list[str]:
    return [
        f"{format_interval(figures['octave_error_percent'], 2)} %",
        f"{format_interval(figures['onset_bias_ms'], 1, '+')} ms",
        f"{format_interval(figures['offset_bias_ms'], 1, '+')} ms",
    ]


def _conditions(report: Figures) -> list[str]:
    rows = []
    for system, conditions in report.get("conditions", {}).items():
        for name, conventions in conditions.items():
            corrected = conventions.get(CORRECTED)
            scores = [format_interval(conventions[PUBLISHED][score]) for score in RULES]
            scores.append(format_interval(corrected["conpoff"]) if corrected else "")
            rows.append([f"{TITLES[system]}, {name}", *scores, *_error_cells(corrected or conventions[PUBLISHED])])
    head = (
        "model, condition | COn | COnP | COnPOff, as published | COnPOff, corrected | octave errors | onset bias "
        "| offset bias"
    )
    return [*markdown_table(head, rows), "", f"`{COMMAND} conditions`"] if rows else []


def _errors(report: Figures) -> list[str]:
    found = report.get("errors", {})
    corpora = [name for name in ("ssvd", "csd") if name in found]
    if not corpora:
        return []
    names = {"ssvd": "five folds, SSVD, corrected labels", "csd": "what ships, CSD"}
    rows = [[kind, *(format_interval(found[one]["kinds"][kind], 1) for one in corpora)] for kind in (RIGHT, *KINDS)]
    lines = markdown_table(f"to 100 labelled notes | {' | '.join(names[one] for one in corpora)}", rows)
    rows = []
    for corpus in corpora:
        for trait, row in found[corpus]["traits"].items():
            if row["notes"]:
                most = ", ".join(f"{kind} {share:.1f}" for kind, share in list(row["mistakes"].items())[:5])
                rows.append([f"{corpus}, {trait}", str(row["notes"]), f"{format_interval(row['right'], 1)} %", most])
    lines += ["", *markdown_table("kind of note | notes | right | most errors, to 100 such notes", rows), ""]
    rows = [
        [f"{corpus}, {kind}", str(row["notes"]), f"{row['median']:.2f}", f"{row['seen_percent']:.0f} %"]
        for corpus in corpora
        for kind, row in found[corpus]["seen"].items()
    ]
    head = "onsets that were not found | labelled onsets | onset probability there, median | at least a half"
    lines += [*markdown_table(head, rows), ""]
    rows = [
        [f"[{number}](worst_{number:02d}.png)", one["recording"], f"{one['start']:.1f} s", ", ".join(one["mistakes"])]
        for number, one in enumerate(found.get("worst", []), start=1)
    ]
    return [*lines, *markdown_table("picture | recording | from | errors", rows), "", f"`{COMMAND} errors`"]


def _confidence(report: Figures) -> list[str]:
    rows = []
    for corpus, part in report.get("confidence", {}).items():
        for minimum, row in part["thresholds"].items():
            is_all = float(minimum) == 0
            rows.append(
                [
                    f"{corpus}, {'all notes' if is_all else f'`--min-confidence {minimum}`'}",
                    f"{row['dropped']:.0f} ({row['dropped_wrong']:.0f} of them wrong)",
                    *(format_number(row[name]) for name in ("precision", "recall", "f_measure")),
                    format_interval(part["calibration_error"]) if is_all else "",
                    f"{part['ranking']:.2f}" if is_all and part["ranking"] is not None else "",
                ]
            )
    head = "notes | dropped | precision (COnP) | recall | F-measure | expected calibration error | right above wrong"
    return [*markdown_table(head, rows), "", f"`{COMMAND} confidence`"] if rows else []
