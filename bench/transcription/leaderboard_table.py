"""Counts of matched notes of many systems as CSV, and the tables that they give, with paired intervals."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.corpus_scores import N_RESAMPLES, WINDOW, resamples, to_blocks
from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.evaluation.note_matching import RULES
from hf_model.evaluation.report import format_interval, markdown_table
from hf_model.files import replacing
from hf_model.notes.note import Note

HEADINGS = {"con": "onset", "conp": "onset and pitch", "conpoff": "onset, pitch and end"}
COLUMNS = (
    "corpus",
    "condition",
    "system",
    "recordings",
    "notes",
    *(f"{rule}{end}" for rule in RULES for end in ("", "_low", "_high")),
)
COLUMNS += ("behind", "behind_low", "behind_high")

NOTES = {
    "ssvd": "sight-singing of men, women and children (SSVD v2.0, MIT), labels corrected by align",
    "csd": "one clip of CSD (CC BY-NC-SA 4.0), labels as published, in windows of ten seconds",
    "made": "phrases that this program composed and sang; its own models were trained on others of the kind",
}


EXPLANATION = """\
Scores are F-measures from 0 to 1: a note counts if its onset is within 50 ms; if its pitch is within 50 cents as well;
if its end is within the larger of 50 ms and 20 % as well. Brackets are 95 % bootstrap intervals over recordings.
*Behind* is the distance to the best system in the last score, on the same recordings: an interval above zero means that
the order does not depend on which recordings were drawn. The best system is first."""


class Count(NamedTuple):
    """Notes of one recording, or of a window of a single one, and how many match by each rule."""

    corpus: str
    condition: str
    system: str
    recording: str
    notes: int
    found: int
    con: int
    conp: int
    conpoff: int


def count(
    system: str,
    condition: str,
    corpus: str,
    name: str,
    reference: Sequence[Note],
    estimate: Sequence[Note],
    *,
    windows: bool,
) -> list[Count]:
    """Count the matches of a recording, in windows where its corpus has no other."""
    blocks = to_blocks(reference, estimate, WINDOW if windows else math.inf)
    names = [f"{name}@{int(WINDOW * number)}" if windows else name for number in range(len(blocks))]
    return [
        Count(corpus, condition, system, label, *(int(value) for value in block.counts[:5]))
        for label, block in zip(names, blocks, strict=True)
    ]


def read_counts(path: Path) -> list[Count]:
    """Read the counts of earlier runs; none without a file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, numbers = Count._fields[:4], Count._fields[4:]
    return [Count._make([*(row[name] for name in texts), *(int(row[name]) for name in numbers)]) for row in rows]


def write_counts(path: Path, counts: Iterable[Count]) -> None:
    """Write counts, sorted."""
    _write(path, Count._fields, [one._asdict() for one in sorted(counts)])


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the leaderboard."""
    _write(path, COLUMNS, rows)


def summarize(counts: Sequence[Count]) -> list[dict[str, Any]]:
    """Score every system on every corpus under every condition, the best first.

    Returns
    -------
    list of dict
        ``COLUMNS``: F-measures with 95 % bootstrap intervals over recordings, and how far COnPOff lies ``behind`` the
        best system, with the interval of the difference on the same recordings.
    """
    rows = []
    for corpus, condition in dict.fromkeys((one.corpus, one.condition) for one in sorted(counts)):
        here = [one for one in counts if (one.corpus, one.condition) == (corpus, condition)]
        blocks = sorted({one.recording for one in here})
        tables = {name: _table(here, name, blocks) for name in sorted({one.system for one in here})}
        pooled = all("@" in name for name in blocks)
        scores = {name: {rule: _scores(table, rule, pooled=pooled) for rule in RULES} for name, table in tables.items()}
        order = sorted(scores, key=lambda name: -scores[name]["conpoff"][0])
        for name in order:
            row: dict[str, Any] = {"corpus": corpus, "condition": condition, "system": name}
            row |= {"recordings": len(blocks), "notes": int(tables[name][:, 0].sum())}
            for rule in RULES:
                row |= _named(rule, scores[name][rule])
            behind = _difference(tables[order[0]], tables[name], pooled=pooled) if name != order[0] else (0.0, 0.0, 0.0)
            rows.append(row | _named("behind", behind))
    return rows


def markdown(rows: Sequence[dict[str, Any]], introduction: str) -> str:
    """Write the page: for each corpus the scores of clean recordings, and the last score under every condition."""
    lines = ["# Transcribers compared", "", *introduction.strip().splitlines(), ""]
    lines += EXPLANATION.splitlines()
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        here = [row for row in rows if row["corpus"] == corpus]
        clean = [row for row in here if row["condition"] == "clean"] or here
        title = NOTES.get(corpus, "")
        lines += ["", f"## {corpus}: {title}" if title else f"## {corpus}", ""]
        lines += [f"{clean[0]['recordings']} recordings or windows, {clean[0]['notes']} notes.", ""]
        cells = [[row["system"], *(_cell(row, name) for name in (*RULES, "behind"))] for row in clean]
        lines += [*markdown_table(" | ".join(["system", *HEADINGS.values(), "behind"]), cells), ""]
        conditions = list(dict.fromkeys(row["condition"] for row in here))
        if len(conditions) > 1:
            by_place = {(row["system"], row["condition"]): row for row in here}
            systems = list(dict.fromkeys(row["system"] for row in [*clean, *here]))
            cells = [[name, *(_cell(by_place.get((name, one)), "conpoff") for one in conditions)] for name in systems]
            lines += ["Onset, pitch and end, under each condition:", ""]
            lines += markdown_table(" | ".join(["system", *conditions]), cells)
    return "\n".join(lines) + "\n"


def _table(counts: Sequence[Count], system: str, blocks: Sequence[str]) -> NDArray[np.float64]:
    """Arrange the counts of a system as (block, 5); a block that only others have notes in is empty."""
    rows = {one.recording: one[4:] for one in counts if one.system == system}
    return np.array([rows.get(name, (0, 0, 0, 0, 0)) for name in blocks], dtype=np.float64)


def _f(table: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    """F-measure of counts (..., 5); 1 where neither side has notes."""
    total = table[..., 0] + table[..., 1]
    return np.where(total > 0, 2 * table[..., 2 + RULES.index(rule)] / np.maximum(total, 1), 1.0)


def _scores(table: NDArray[np.float64], rule: str, *, pooled: bool) -> tuple[float, float, float]:
    """Mean over recordings, or the pooled score of windows, and its interval."""
    if not pooled:
        return bootstrap_mean(_f(table, rule), N_RESAMPLES)
    drawn = _f(table[resamples(len(table))].sum(axis=1), rule)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(_f(table.sum(axis=0), rule)), float(low), float(high)


def _difference(best: NDArray[np.float64], other: NDArray[np.float64], *, pooled: bool) -> tuple[float, float, float]:
    if not pooled:
        return bootstrap_mean(_f(best, "conpoff") - _f(other, "conpoff"), N_RESAMPLES)
    draws = resamples(len(best))
    drawn = _f(best[draws].sum(axis=1), "conpoff") - _f(other[draws].sum(axis=1), "conpoff")
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(_f(best.sum(axis=0), "conpoff") - _f(other.sum(axis=0), "conpoff")), float(low), float(high)


def _named(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return {f"{name}{end}": round(value, 4) for end, value in zip(("", "_low", "_high"), values, strict=True)}


def _cell(row: dict[str, Any] | None, name: str) -> str:
    if row is None:
        return "-"
    if name == "behind" and not row["behind"]:
        return "best"
    return format_interval({"mean": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]})


def _write(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
