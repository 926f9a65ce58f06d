"""Projects of OpenUtau (USTX 0.6): the notes, and the pitch of the voice as a curve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_model.export.formats.expression import Expression

TICKS = 480
"""Per quarter note."""

CURVE_STEP = 5
"""Ticks between the points that OpenUtau keeps of a curve."""

MAX_CENTS = 1200
"""Range of OpenUtau's pitch deviation."""

LYRIC = "la"


def write_ustx(
    path: Path | str, expressions: Sequence[Expression], bpm: float, *, meter: tuple[int, int], title: str
) -> None:
    """Write a project with one part.

    Times are on a constant tempo, so that they stay those of the recording. Each value is written as JSON, which YAML
    includes.

    Parameters
    ----------
    path : path
    expressions : sequence of Expression
        One for each note, in order, without overlaps.
    bpm : float
        Quarter notes per minute.
    meter : (int, int)
        Time signature.
    title : str
    """
    ticks_per_second = TICKS * bpm / 60.0
    notes: list[dict[str, Any]] = []
    xs: list[int] = []
    ys: list[int] = []
    end = 0
    for one in expressions:
        start = max(end, round(one.key.onset * ticks_per_second))
        end = max(start + 10, round(one.key.offset * ticks_per_second))  # OpenUtau has no shorter notes
        notes.append(_note(start, end - start, int(one.key.pitch)))
        for time, semitones in zip(one.times, one.semitones, strict=True):
            x = CURVE_STEP * round(float(time) * ticks_per_second / CURVE_STEP)
            if start <= x < end and (not xs or x > xs[-1]):
                xs.append(x)
                ys.append(max(-MAX_CENTS, min(MAX_CENTS, round(100 * float(semitones)))))
    part = {"name": title, "comment": "", "track_no": 0, "position": 0, "duration": end + TICKS}
    curve = {"xs": xs, "ys": ys, "abbr": "pitd"}
    project = {
        "name": title,
        "comment": "HummingFace",
        "output_dir": "Vocal",
        "cache_dir": "UCache",
        "ustx_version": "0.6",
        "resolution": TICKS,
        "bpm": bpm,
        "beat_per_bar": meter[0],
        "beat_unit": meter[1],
        "expressions": {"pitd": _PITCH_DEVIATION},
        "time_signatures": [{"bar_position": 0, "beat_per_bar": meter[0], "beat_unit": meter[1]}],
        "tempos": [{"position": 0, "bpm": bpm}],
        "tracks": [{"phonemizer": "OpenUtau.Core.DefaultPhonemizer", "track_name": title, "volume": 0, "pan": 0}],
        "voice_parts": [part | {"notes": notes, "curves": [curve]}],
        "wave_parts": [],
    }
    text = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in project.items())
    Path(path).write_text(text, encoding="utf-8", newline="\n")


_PITCH_DEVIATION = {
    "name": "pitch deviation (curve)",
    "abbr": "pitd",
    "type": "Curve",
    "min": -MAX_CENTS,
    "max": MAX_CENTS,
    "default_value": 0,
    "is_flag": False,
    "flag": "",
}


def _note(position: int, duration: int, tone: int) -> dict[str, Any]:
    """Make a note without portamento and vibrato: both are in the curve."""
    flat = [{"x": 0, "y": 0, "shape": "l"}, {"x": 1, "y": 0, "shape": "l"}]
    return {
        "position": position,
        "duration": duration,
        "tone": tone,
        "lyric": LYRIC,
        "pitch": {"data": flat, "snap_first": False},
        "vibrato": {"length": 0, "period": 175, "depth": 25, "in": 10, "out": 10, "shift": 0, "drift": 0},
        "phoneme_expressions": [],
        "phoneme_overrides": [],
    }
