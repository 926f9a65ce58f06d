"""A comparison in words, as plain values for JSON, and as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

from hf_model.notes.pitch import pitch_to_name
from hf_model.practice.comparison import ANOTHER, IN_TUNE, NEAR, ON_TIME, ComparedNote, Comparison

COLUMNS = (
    *("number", "status", "written", "sung", "pitch", "meant", "onset", "offset"),
    *("expected", "cents", "milliseconds", "remark"),
)
"""Of the table: the written note's number, key names, sung and meant pitch (MIDI numbers), seconds."""

MIN_DRIFT, MIN_CHANGE, SAME_SPEED = 15.0, 0.03, 0.02
"""Cents and shares from which drift and change of tempo are told; a tempo nearer to the score's is the same."""


def as_mapping(comparison: Comparison) -> dict[str, Any]:
    """Give plain values for JSON: cents, milliseconds, seconds, MIDI numbers."""
    return {
        "summary": describe(comparison),
        "n_written": sum(note.written is not None and note.status != "outside" for note in comparison.notes),
        "n_sung": len(comparison.of_status("sung")),
        "n_in_tune": comparison.n_in_tune,
        "n_on_time": comparison.n_on_time,
        "n_missed": len(comparison.of_status("missed")),
        "n_extra": len(comparison.of_status("extra")),
        "transposition": comparison.transposition,
        "tuning_cents": round(100 * comparison.tuning, 1),
        "speed": round(comparison.speed, 3),
        "speed_change": round(comparison.speed_change, 3),
        "range": {"lowest": round(comparison.lowest, 2), "highest": round(comparison.highest, 2)},
        "drift_cents": round(comparison.drift_cents, 1),
        "drift": [[round(seconds, 2), round(cents, 1)] for seconds, cents in comparison.drift],
        "notes": [_row(note, comparison.tuning) for note in comparison.notes],
    }


def _row(note: ComparedNote, tuning: float) -> dict[str, Any]:
    """Give the columns of a note, named in the singer's tuning; None where there is nothing, 0.0 instead of -0.0."""
    sung, written = note.sung, note.written
    return {
        "number": note.number,
        "status": note.status,
        "written": pitch_to_name(written.pitch) if written else None,
        "sung": pitch_to_name(sung.pitch - tuning) if sung else None,
        "pitch": round(sung.pitch, 2) if sung else None,
        "meant": None if note.meant is None else round(note.meant, 2),
        "onset": round(sung.onset, 3) if sung else None,
        "offset": round(sung.offset, 3) if sung else None,
        "expected": round(note.expected, 3),
        "cents": None if note.cents is None else round(note.cents, 1) + 0.0,
        "milliseconds": None if note.milliseconds is None else round(note.milliseconds, 1) + 0.0,
        "remark": remark(note),
    }


def remark(note: ComparedNote) -> str:
    """Say what a teacher would say of a note."""
    if note.status == "outside":
        return "not part of this take"
    if note.cents is None or note.milliseconds is None:
        return note.status
    words = []
    if abs(note.cents) >= ANOTHER:
        words.append("another note")
    elif abs(note.cents) > IN_TUNE:
        words.append(f"{'a little ' if abs(note.cents) <= NEAR else ''}{'sharp' if note.cents > 0 else 'flat'}")
    if abs(note.milliseconds) > ON_TIME:
        words.append("late" if note.milliseconds > 0 else "early")
    return ", ".join(words)


def describe(comparison: Comparison) -> list[str]:
    """Summarize a comparison in sentences."""
    n_sung, n_missed, n_extra = (len(comparison.of_status(status)) for status in ("sung", "missed", "extra"))
    others = "".join(f", {number} {what}" for number, what in ((n_missed, "missed"), (n_extra, "extra")) if number)
    lowest, highest = (pitch_to_name(pitch - comparison.tuning) for pitch in (comparison.lowest, comparison.highest))
    lines = [
        f"{n_sung} of {n_sung + n_missed} notes sung{others}; {comparison.n_in_tune} of them in tune (within "
        f"{IN_TUNE:.0f} cents) and {comparison.n_on_time} on time (within {ON_TIME:.0f} ms).",
        f"Sung {_key_words(comparison)}, {_speed_words(comparison)}.",
        f"Range: {lowest} to {highest}.",
        _drift_words(comparison.drift_cents),
    ]
    outside = len(comparison.of_status("outside"))
    if outside:
        lines.append(f"{outside} notes of the score are before or after this take, and do not count.")
    return lines


def _key_words(comparison: Comparison) -> str:
    semitones, cents = comparison.transposition, 100 * comparison.tuning
    tuning = "at A = 440 Hz"
    if abs(cents) >= 1:
        tuning = f"{abs(cents):.0f} cents {'above' if cents > 0 else 'below'} A = 440 Hz"
    if not semitones:
        return f"in the written key, {tuning}"
    octaves, rest = divmod(abs(semitones), 12)
    way = "higher" if semitones > 0 else "lower"
    counted = ((octaves, "octave"), (rest, "semitone"))
    parts = " and ".join(f"{number} {name}{'s' * (number > 1)}" for number, name in counted if number)
    return f"{parts} {way} than written, {tuning}"


def _speed_words(comparison: Comparison) -> str:
    percent = 100 * (comparison.speed - 1)
    words = f"{abs(percent):.0f} % {'faster' if percent > 0 else 'slower'} than written"
    if abs(comparison.speed - 1) < SAME_SPEED:
        words = "at the written tempo"
    change = 100 * comparison.speed_change
    if abs(comparison.speed_change) >= MIN_CHANGE:
        words += f", and {'speeding up' if change > 0 else 'slowing down'} by {abs(change):.0f} %"
    return words


def _drift_words(cents: float) -> str:
    if abs(cents) < MIN_DRIFT:
        return f"The tuning holds: {_signed(cents)} cents from the beginning to the end."
    return f"The tuning {'rises' if cents > 0 else 'sinks'} by {abs(cents):.0f} cents from the beginning to the end."


def _signed(number: float) -> str:
    """Write a whole number with its sign, which zero has not."""
    return f"{round(number):+d}" if round(number) else "0"


def as_text(comparison: Comparison) -> str:
    """Write summary and notes as lines, with aligned columns."""
    lines = [*describe(comparison), "", "note   seconds  written  sung    cents      ms  remark"]
    for note in comparison.notes:
        if note.status == "outside":
            continue
        row = _row(note, comparison.tuning)
        number = "+" if note.number is None else str(note.number)
        cents = "" if note.cents is None else _signed(note.cents)
        late = "" if note.milliseconds is None else _signed(note.milliseconds)
        seconds = note.sung.onset if note.sung else note.expected
        names = f"{row['written'] or '':<7}  {row['sung'] or '':<4}"
        line = f"{number:>4}  {seconds:>8.2f}  {names}  {cents:>6}  {late:>6}  {row['remark']}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def as_csv(comparison: Comparison) -> str:
    """Write the notes as CSV with ``COLUMNS``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(note, comparison.tuning) for note in comparison.notes)
    return text.getvalue()
