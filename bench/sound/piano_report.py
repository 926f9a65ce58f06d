"""The figures of ``piano`` as markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hf_model.evaluation.report import format_interval, format_number, markdown_table

SECONDS = 20
"""Of a melody."""

ORDER = ("reference", "sampled", "neural", "table alone", "direct")
DIFFERENCES = ("conp_basic_pitch_difference", "conp_own_difference")
"""Keys of figures.json, in the order of the columns."""

Figures = Mapping[str, Any]

MELODIES = (
    "piano | channels | log-mel, dB | worst | convergence | complex convergence | SI-SDR, dB | log-mel L, R, dB "
    "| convergence L, R | COnP by basic-pitch, minus reference's | COnP by piano_to_notes, minus reference's"
)
NOTES = (
    "piano | rise 10-90 %, mean / worst difference | within 5 ms "
    "| decay of partials, median / 95th percentile of the difference | within 15 % | log-mel of single notes, dB"
)
KEYBOARD = (
    "piano | largest sample step / reference's, median, worst | level difference, dB, median, worst "
    "| left against right, dB, median, worst | finite | mean / peak, worst (reference)"
)
COST = "piano | times real time | per CPU second | weights, MB"


def markdown(report: Figures) -> str:
    """Write one table for each part."""
    parts: dict[str, tuple[str, Callable[[Figures], list[str]]]] = {
        "melodies": (MELODIES, _melody_cells),
        "notes": (NOTES, _note_cells),
        "keyboard": (KEYBOARD, _keyboard_cells),
        "cost": (COST, _cost_cells),
    }
    lines = [f"Reference: {report['reference']}; {len(report['songs'])} melodies of {SECONDS} s.", ""]
    lines += ["Channels averaged; under L, R each channel of the reference against what is played on that side.", ""]
    for part, (head, cells) in parts.items():
        rows = sorted(report.get(part, {}).items(), key=lambda item: (_place(item[0]), item[0]))
        if rows:
            lines += [*markdown_table(head, [[name, *cells(row)] for name, row in rows]), ""]
    return "\n".join(lines)


def _place(name: str) -> int:
    """Sort the pianos before the yardsticks."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _melody_cells(row: Figures) -> list[str]:
    return [
        f"{row['channels']['mean']:.0f}",
        format_interval(row["log_mel"], 2),
        f"{row['log_mel']['most']:.2f}",
        format_interval(row["convergence"]),
        format_interval(row["complex"]),
        format_interval(row["si_sdr"], 1),
        f"{row['log_mel_channels']['mean']:.2f}",
        format_number(row["convergence_channels"]["mean"]),
        *(format_interval(row[name]) if name in row else "" for name in DIFFERENCES),
    ]


def _note_cells(row: Figures) -> list[str]:
    return [
        f"{row['rise_mean_ms']:.1f} / {row['rise_worst_ms']:.1f} ms",
        f"{row['rise_within_5_ms_percent']:.1f} % of {row['notes']:.0f} notes",
        f"{row['decay_median_percent']:.1f} / {row['decay_95th_percent']:.1f} %",
        f"{row['decay_within_15_percent']:.1f} % of {row['partials']:.0f} partials",
        f"{row['log_mel']:.2f}",
    ]


def _keyboard_cells(row: Figures) -> list[str]:
    return [
        f"{row['step_ratio_median']:.2f}, {row['step_ratio_worst']:.2f}",
        f"{row['level_median_db']:.2f}, {row['level_worst_db']:.2f}",
        f"{row['balance_median_db']:.2f}, {row['balance_worst_db']:.2f}",
        str(row["finite"]),
        f"{row['offset_worst']:.4f} ({row['offset_worst_of_reference']:.4f})",
    ]


def _cost_cells(row: Figures) -> list[str]:
    return [
        f"{row['times_real_time']:.0f}",
        f"{row['seconds_per_cpu_second']:.0f}",
        str(row.get("weights_mb", "")),
    ]
