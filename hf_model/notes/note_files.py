"""Notes to play from a file: MIDI of any origin, or the table that ``convert --csv`` writes, edited by hand."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_model.notes.midi import MidiFileError, parsing
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.pedal import Pedal, sustained

SUSTAIN, DOWN = 64, 64
"""The controller of the pedal, and the value from which it counts as down."""

MOST_BYTES = 20_000_000

NAMES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}


class NoteFileError(ValueError):
    """Why a file cannot be played; the message names it."""


@dataclass(frozen=True)
class Score:
    """What a file says.

    Attributes
    ----------
    notes : list of Note
        Keys 21-108 by onset, as long as they sound with the file's own pedal.
    has_pedal : bool
        Whether the file has a pedal of its own.
    warnings : tuple of str
    """

    notes: list[Note]
    has_pedal: bool = False
    warnings: tuple[str, ...] = ()


def read_score(path: Path) -> Score:
    """Read notes from a MIDI file or a table, by what is in it.

    Raises
    ------
    NoteFileError
        Naming the file, and the line of a table, that cannot be read.
    OSError
        If the file cannot be opened.
    """
    if path.stat().st_size > MOST_BYTES:
        msg = f"{path}: larger than {MOST_BYTES // 1_000_000} MB, which is no file of notes"
        raise NoteFileError(msg)
    with path.open("rb") as file:
        start = file.read(4)
    score = _read_midi(path) if start in {b"MThd", b"RIFF"} else _read_table(path)
    folded = [replace(note, pitch=float(fold_to_keyboard(int(note.pitch)))) for note in score.notes]
    n_moved = sum(note.pitch != old.pitch for note, old in zip(folded, score.notes, strict=True))
    added = [f"{n_moved} notes lie beyond the keyboard and are played octaves away"] if n_moved else []
    added += [] if folded else ["no notes are in it: the piano is silent"]
    return Score(sorted(folded), score.has_pedal, (*score.warnings, *added))


def _read_midi(path: Path) -> Score:
    """Merge all pitched instruments, each with its own pedal; drums are left out."""
    import pretty_midi

    try:
        with parsing(path):
            midi = pretty_midi.PrettyMIDI(str(path))
    except MidiFileError as error:
        raise NoteFileError(str(error)) from error
    notes: list[Note] = []
    has_pedal = False
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        own = [
            Note(float(note.start), float(note.end), float(note.pitch), note.velocity)
            for note in instrument.notes
            if note.end > note.start
        ]
        pedals = pedals_of(instrument.control_changes, float(midi.get_end_time()))
        has_pedal = has_pedal or bool(pedals)
        notes += sustained(own, pedals)
    n_drums = sum(len(instrument.notes) for instrument in midi.instruments if instrument.is_drum)
    return Score(notes, has_pedal, (f"{n_drums} drum notes are left out",) if n_drums else ())


def pedals_of(changes: list[Any], end: float) -> list[Pedal]:
    """Find when the pedal is down among control changes (``number``, ``value``, ``time`` in s), not beyond ``end``."""
    pedals = []
    down: float | None = None
    for change in sorted(changes, key=lambda change: float(change.time)):
        if change.number != SUSTAIN:
            continue
        if change.value >= DOWN and down is None:
            down = float(change.time)
        elif change.value < DOWN and down is not None:
            if change.time > down:
                pedals.append(Pedal(down, float(change.time)))
            down = None
    if down is not None and end > down:
        pedals.append(Pedal(down, end))
    return pedals


def _read_table(path: Path) -> Score:
    """Read ``onset, offset, note`` (or ``pitch``), ``velocity`` as spreadsheets leave them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        msg = f"{path}: neither a MIDI file nor a table of notes"
        raise NoteFileError(msg) from error
    header = lines[0] if lines else ""
    delimiter = max(";\t,", key=header.count)
    columns = [name.strip().strip('"').lower() for name in header.split(delimiter)]
    pitched = next((name for name in ("note", "pitch") if name in columns), None)
    if pitched is None or not {"onset", "offset"} <= set(columns):
        msg = f"{path}: neither a MIDI file nor a table of notes (first line: onset,offset,note,velocity)"
        raise NoteFileError(msg)
    notes = []
    for number, cells in enumerate(csv.reader(lines[1:], delimiter=delimiter), start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        try:
            notes.append(_as_note(row, pitched, decimal_comma=delimiter != ","))
        except (KeyError, ValueError, OverflowError) as error:
            what = f"no {error} in this row" if isinstance(error, KeyError) else error
            msg = f"{path}, line {number}: {what}"
            raise NoteFileError(msg) from error
    return Score(notes)


def _as_note(row: dict[str, str], pitched: str, *, decimal_comma: bool) -> Note:
    def number(name: str) -> float:
        return float(row[name].replace(",", ".") if decimal_comma else row[name])

    onset = number("onset")
    if onset < 0:
        msg = f"onset is {onset:g} s, must not be negative"
        raise ValueError(msg)
    text = row[pitched]
    pitch = float(name_to_key(text)) if text[:1].isalpha() and text[:3] != "nan" else number(pitched)
    velocity = int(number("velocity")) if row.get("velocity") else 80
    if not math.isfinite(pitch):
        msg = f"{pitched} is {text}, allowed is 0 to 127 (MIDI number)"
        raise ValueError(msg)
    return Note(onset, number("offset"), float(math.floor(pitch + 0.5)), velocity)


def name_to_key(name: str) -> int:
    """Turn a note name ("C4", "f#3", "Bb5") into its MIDI number; C4 is 60.

    Raises
    ------
    ValueError
        For anything else.
    """
    letter, rest = name[:1].lower(), name[1:]
    marks = len(rest) - len(rest.lstrip("#b♯♭"))
    try:
        shift = sum(1 if mark in "#♯" else -1 for mark in rest[:marks])
        return NAMES[letter] + shift + 12 * (int(rest[marks:]) + 1)
    except (KeyError, ValueError):
        msg = f"{name!r} is no note, expected a MIDI number or a name such as C4 or F#3"
        raise ValueError(msg) from None


CSV_COLUMNS = ("onset", "offset", "pitch", "note", "velocity", "confidence")


def write_csv(path: Path | str, notes: Sequence[Note], keys: Sequence[Note]) -> None:
    """Write the pitches as sung beside the keys that the piano plays (columns ``CSV_COLUMNS``; seconds, MIDI numbers).

    Onsets and offsets are those of the keys: as sung too, unless they were put on a grid.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for note, key in zip(notes, keys, strict=True):
            writer.writerow(
                [
                    f"{key.onset:.4f}",
                    f"{key.offset:.4f}",
                    f"{note.pitch:.3f}",
                    int(key.pitch),
                    key.velocity,
                    f"{note.confidence:.3f}",
                ]
            )


def read_csv(path: Path | str) -> tuple[list[Note], list[Note]]:
    """Read what :func:`write_csv` wrote: notes as sung, and keys.

    Raises
    ------
    ValueError
        Naming the file and the line that cannot be read.
    """
    notes, keys = [], []
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(CSV_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            msg = f"{path}: column {sorted(missing)[0]!r} is missing; expected {','.join(CSV_COLUMNS)}"
            raise ValueError(msg)
        for row in reader:
            try:
                onset, offset = float(row["onset"]), float(row["offset"])
                velocity, confidence = int(row["velocity"]), float(row["confidence"])
                notes.append(Note(onset, offset, float(row["pitch"]), velocity, confidence))
                keys.append(Note(onset, offset, float(int(row["note"])), velocity, confidence))
            except (TypeError, ValueError) as error:
                msg = f"{path}, line {reader.line_num}: {error}"
                raise ValueError(msg) from error
    return notes, keys
