"""The transcriber's figures as markdown: table.md, labels.md, and the tables inside README.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transcriber_figures import SCORES
from transcriber_hearing import CLEAN, FOLDS, MADE, MADE_CSD, SHIPS_CSD
from transcriber_recordings import CONVENTIONS, CORRECTED, PUBLISHED

from hf_model.evaluation.error_analysis import KINDS, RIGHT

BEGIN, END = "<!-- tables: written by bench/transcriber.py -->", "<!-- end of tables -->"
COMMAND = "python bench/transcriber.py --mirror FOLDER --parts"

Figures = Mapping[str, Any]


def write_report(folder: Path, report: Mapping[str, Any]) -> str:
    """Write table.md and labels.md, put the tables into README.md if it is there, and return them."""
    text = markdown(report)
    (folder / "table.md").write_text(text, encoding="utf-8")
    if "labels" in report:
        (folder / "labels.md").write_text(labels_markdown(report["labels"]), encoding="utf-8")
    readme = folder / "README.md"
    if readme.is_file():
        before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        if rest:
            readme.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    return text


def markdown(report: Mapping[str, Any]) -> str:
    """Write every part that was measured."""
    parts: list[tuple[str, Callable[[Mapping[str, Any]], list[str]]]] = [
        ("Against the targets", _targets),
        ("What the labels allow", _ceilings),
        ("Clean recordings", _clean),
        ("Worse recordings", _conditions),
        ("Mistakes", _errors),
        ("Confidence", _confidence),
    ]
    lines: list[str] = []
    for title, write in parts:
        found = write(report)
        if found:
            lines += [f"### {title}", "", *found, ""]
    return "\n".join(lines)


def table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a markdown table."""
    return [f"| {head} |", "|---" * (head.count("|") + 1) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def interval(figure: Figures, digits: int = 3, sign: str = "") -> str:
    """Write a mean with its interval."""
    low, high = (("?" if figure[end] is None else _number(figure[end], digits, sign)) for end in ("low", "high"))
    return f"{'?' if figure['mean'] is None else _number(figure['mean'], digits, sign)} [{low}, {high}]"


def _number(value: float, digits: int, sign: str = "") -> str:
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if digits == 3 and text.startswith(("0.", "-0.")) else text


# --------------------------------------------------------------------------------------------------------- targets


def _targets(report: Mapping[str, Any]) -> list[str]:
    made, folds = (report.get(name, {}).get("figures", {}) for name in ("made", "folds"))
    csd = report.get("csd", {}).get(SHIPS_CSD, {}).get("as heard")
    rows = []
    for convention in CONVENTIONS if made else ():
        what = f"(a) made voices only, SSVD, {convention}"
        rows.append([what, _three(made[convention]), ".92 / .86 / .82", ".95 / .90 / .88"])
    for convention in CONVENTIONS if folds else ():
        what = f"(b) five folds, SSVD, {convention}"
        rows.append([what, _three(folds[convention]), ".96 / .91 / .89", ".97 / .93 / .92"])
    if csd:
        rows.append(["(c) clip of CSD, what ships", _three(csd), ".88 / .86 / .58", ".92 / .90 / .68"])
    worse = {k: v for k, v in report.get("conditions", {}).get(FOLDS, {}).items() if k != CLEAN}
    for convention in CONVENTIONS if worse else ():
        name = min(worse, key=lambda one: worse[one][convention]["conpoff"]["mean"])
        what = f"(d) worst condition of (b), {name}, COnPOff, {convention}"
        rows.append([what, interval(worse[name][convention]["conpoff"]), ".82", ".88"])
    known = [("made voices only, SSVD", made.get(CORRECTED)), ("five folds, SSVD", folds.get(CORRECTED)), ("CSD", csd)]
    for name, found in known:
        if found:
            rows.append([f"octave errors, {name}", f"{interval(found['octave_error_percent'], 2)} %", "< 1 %", "0.3 %"])
    for name, found in known:
        if found:
            bias = f"{interval(found['onset_bias_ms'], 1, '+')} ms"
            rows.append([f"median signed onset bias, {name}", bias, "within ±8 ms", "±3 ms"])
    return table("what | measured | at least | aim", rows) if rows else []


def _ceilings(report: Mapping[str, Any]) -> list[str]:
    found = report.get("labels", {}).get("ceilings", {})
    rows = [[name, against, _three(one)] for name, parts in found.items() for against, one in parts.items()]
    return [*table("answer | labels | COn / COnP / COnPOff", rows), "", f"`{COMMAND} labels`"] if rows else []


def _three(figures: Figures) -> str:
    return " / ".join(interval(figures[name]) for name in SCORES)


# ---------------------------------------------------------------------------------------------------------- scores

HEAD = "labels | recordings, notes | COn | COnP | COnPOff | pooled | octave errors | onset bias | offset bias"


def _clean(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for part, title in ((MADE, "made voices only, SSVD"), (FOLDS, "five folds, SSVD")):
        for name, figures in report.get(part, {}).get("figures", {}).items():
            rows.append([f"{title}, {name}", *_score_cells(figures)])
    for name, title in ((SHIPS_CSD, "what ships, CSD"), (MADE_CSD, "made voices only, CSD")):
        for way in ("as heard", "--legato"):
            found = report.get("csd", {}).get(name, {}).get(way)
            if found:
                rows.append([f"{title}, {'`--legato`' if way == '--legato' else way}", *_score_cells(found)])
    return [*table(HEAD, rows), "", f"`{COMMAND} made folds csd`"] if rows else []


def _score_cells(figures: Figures) -> list[str]:
    return [
        f"{figures['recordings']}, {figures['notes']}",
        *(interval(figures[name]) for name in SCORES),
        " / ".join(_number(figures[name]["pooled"], 3) for name in SCORES),
        f"{interval(figures['octave_error_percent'], 2)} %",
        f"{interval(figures['onset_bias_ms'], 1, '+')} ms",
        f"{interval(figures['offset_bias_ms'], 1, '+')} ms",
    ]


def _conditions(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for system, conditions in report.get("conditions", {}).items():
        for name, conventions in conditions.items():
            figures = conventions[PUBLISHED]
            corrected = conventions.get(CORRECTED)
            rows.append(
                [
                    f"{system}, {name}",
                    *(interval(figures[score]) for score in SCORES),
                    interval(corrected["conpoff"]) if corrected else "",
                    f"{interval((corrected or figures)['octave_error_percent'], 2)} %",
                    f"{interval((corrected or figures)['onset_bias_ms'], 1, '+')} ms",
                    f"{interval((corrected or figures)['offset_bias_ms'], 1, '+')} ms",
                ]
            )
    head = (
        "model, condition | COn | COnP | COnPOff, as published | COnPOff, corrected | octave errors | onset bias "
        "| offset bias"
    )
    return [*table(head, rows), "", f"`{COMMAND} conditions`"] if rows else []


# -------------------------------------------------------------------------------------------------- mistakes, trust


def _errors(report: Mapping[str, Any]) -> list[str]:
    found = report.get("errors", {})
    corpora = [name for name in ("ssvd", "csd") if name in found]
    if not corpora:
        return []
    names = {"ssvd": "five folds, SSVD, corrected labels", "csd": "what ships, CSD"}
    rows = [[kind, *(interval(found[one]["kinds"][kind], 1) for one in corpora)] for kind in (RIGHT, *KINDS)]
    lines = table(f"to 100 labelled notes | {' | '.join(names[one] for one in corpora)}", rows)
    rows = []
    for corpus in corpora:
        for trait, row in found[corpus]["traits"].items():
            if row["notes"]:
                most = ", ".join(f"{kind} {share:.1f}" for kind, share in list(row["mistakes"].items())[:5])
                rows.append([f"{corpus}, {trait}", str(row["notes"]), f"{interval(row['right'], 1)} %", most])
    lines += ["", *table("kind of note | notes | right | most mistakes, to 100 such notes", rows), ""]
    rows = [
        [f"{corpus}, {kind}", str(row["notes"]), f"{row['median']:.2f}", f"{row['seen_percent']:.0f} %"]
        for corpus in corpora
        for kind, row in found[corpus]["seen"].items()
    ]
    head = "onsets that did not become a note's | labelled onsets | onset probability there, median | at least a half"
    lines += [*table(head, rows), ""]
    rows = [
        [f"[{number}](worst_{number:02d}.png)", one["recording"], f"{one['start']:.1f} s", ", ".join(one["mistakes"])]
        for number, one in enumerate(found.get("worst", []), start=1)
    ]
    return [*lines, *table("picture | recording | from | mistakes", rows), "", f"`{COMMAND} errors`"]


def _confidence(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for corpus, part in report.get("confidence", {}).items():
        for least, row in part["thresholds"].items():
            rows.append(
                [
                    f"{corpus}, {'all notes' if float(least) == 0 else f'`--min-confidence {least}`'}",
                    f"{row['dropped']:.0f} ({row['dropped_wrong']:.0f} of them wrong)",
                    *(_number(row[name], 3) for name in ("precision", "recall", "f_measure")),
                    interval(part["calibration_error"]) if float(least) == 0 else "",
                    f"{part['ranking']:.2f}" if float(least) == 0 and part["ranking"] is not None else "",
                ]
            )
    head = "notes | dropped | precision (COnP) | recall | F-measure | expected calibration error | right above wrong"
    return [*table(head, rows), "", f"`{COMMAND} confidence`"] if rows else []


# ---------------------------------------------------------------------------------------------------------- labels


def labels_markdown(report: Mapping[str, Any]) -> str:
    """Write the list of recordings whose labels disagree with the audio, and what was decided about each kind."""
    lines = [
        "# Labels that disagree with the audio",
        "",
        f"`{COMMAND} labels` wrote this page. Two opinions on every SSVD recording: *align* measures labels against an "
        "onset curve and a pitch tracker (with standard errors); *heard* holds them against a transcriber that learned "
        "from made voices only. Positive is late or sharp. Medians over the recording's notes; offsets only of notes "
        "that a silence follows.",
        "",
    ]
    for name, unit in (("onset_ms", "ms"), ("offset_ms", "ms"), ("pitch_hz", "Hz")):
        if name in report["agreement"]:
            one = report["agreement"][name]
            lines.append(
                f"- {name.split('_')[0]}: the two opinions correlate at {one['correlation']:.2f} over recordings; "
                f"heard is {one['difference']:+.1f} {unit} from align (median)."
            )
    lines += ["", "## What was decided about each kind", ""]
    head = "kind | recordings | onset, offset, pitch: align | heard | COnPOff gained | decision"
    lines += [*table(head, [_kind_cells(one) for one in report["kinds"]]), ""]
    lines += [
        "*COnPOff gained*: of the transcriber of made voices on those recordings, by correcting this and not only the "
        "rest, with a 95 % bootstrap interval over recordings.",
        "",
        "## Sharp by a constant in Hz",
        "",
        "Labels as published over what was heard, medians, without the recordings over 7 Hz:",
        "",
        *table(
            "heard pitch, MIDI number | notes | sharp, Hz | sharp, cents",
            [
                [f"{row['from']} to {row['to']}", str(row["notes"]), f"{row['hz']:+.1f}", f"{row['cents']:+.0f}"]
                for row in report["by_pitch"]
            ],
        ),
        "",
        "## Recordings",
        "",
        "*Grid*: the step in Hz that labels lie on, and what rounding to it may put a note of median pitch off by.",
        "",
    ]
    head = (
        "recording | group | notes | onset late, ms: align | heard | corrected by | offset late, ms: align | heard "
        "| corrected by | sharp, Hz: align | heard | corrected by | grid | octaves, stubs | left, cents | fit"
    )
    return "\n".join([*lines, *table(head, [_label_cells(row) for row in report["recordings"]])]) + "\n"


def _kind_cells(one: Mapping[str, Any]) -> list[str]:
    names, units = ("onset_ms", "offset_ms", "pitch_hz"), ("ms", "ms", "Hz")
    align, heard = (
        ", ".join(
            f"{one['medians'][name][who]:+.0f} {unit}" if one["medians"][name][who] is not None else "?"
            for name, unit in zip(names, units, strict=True)
        )
        if one["medians"]
        else ""
        for who in ("align", "heard")
    )
    listed = ", ".join(one["recordings"]) if len(one["recordings"]) <= 30 else "nearly all"
    gain = interval(one["gain_conpoff"], 3, "+") if one["gain_conpoff"] else ""
    return [one["kind"], f"{len(one['recordings'])}: {listed}", align, heard, gain, one["decision"]]


def _label_cells(row: Mapping[str, Any]) -> list[str]:
    cells = [row["recording"], row["singer"].removeprefix("ssvd-"), str(row["notes"])]
    for name, digits in (("onset_ms", 0), ("offset_ms", 0), ("pitch_hz", 1)):
        error = row[name]["error"]
        measured = "?" if error is None else f"{row[name]['measured']:+.{digits}f} ± {error:.{digits}f}"
        heard = f"{row['heard'][name]:+.{digits}f}" if name in row["heard"] else ""
        cells += [measured, heard, f"{row['corrected'][name]:+.{digits}f}"]
    odd = [f"{row[name]} {word}" for name, word in (("octaves_mended", "moved"), ("stubs", "stubs")) if row[name]]
    grid = row["grid"]
    step = f"{grid['step_hz']:.2f} Hz, ±{grid['half_step_cents']:.0f} cents" if grid else ""
    return [*cells, step, ", ".join(odd), f"{row['residual_cents']:.0f}", f"{row['quality']:.2f}"]
