"""Files of notes: scores to render (MIDI or a table), and the CSV table of a conversion."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_model.notes.midi import MidiFileError, instrument_notes, midi_errors
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.pedal import Pedal, apply_pedals
from hf_model.notes.pitch import name_to_key

SUSTAIN, DOWN = 64, 64
"""MIDI controller of the sustain pedal, and the lowest value that means down."""

MAX_BYTES = 20_000_000


class NoteFileError(ValueError):
    """Why a file of notes cannot be read; the message contains its path."""


@dataclass(frozen=True)
class Score:
    """The notes of a file, ready to render.

    Attributes
    ----------
    notes : list of Note
        Piano keys (21-108) sorted by onset, prolonged by the file's own pedal.
    has_pedal : bool
        Whether the file has a pedal of its own.
    warnings : tuple of str
    """

    notes: list[Note]
    has_pedal: bool = False
    warnings: tuple[str, ...] = ()


def read_score(path: Path) -> Score:
    """Read notes from a MIDI file or a table; the content decides which.

    Raises
    ------
    NoteFileError
        With the path, and the line of a table, that cannot be read.
    OSError
        If the file cannot be opened.
    """
    if path.stat().st_size > MAX_BYTES:
        msg = f"{path}: larger than {MAX_BYTES // 1_000_000} MB: not a file of notes"
        raise NoteFileError(msg)
    with path.open("rb") as file:
        start = file.read(4)
    score = _read_midi(path) if start in {b"MThd", b"RIFF"} else _read_table(path)
    in_range = [replace(note, pitch=float(fold_to_keyboard(int(note.pitch)))) for note in score.notes]
    n_moved = sum(note.pitch != old.pitch for note, old in zip(in_range, score.notes, strict=True))
    added = [f"{n_moved} notes are outside the range of the piano and are played in another octave"] if n_moved else []
    added += [] if in_range else ["the file has no notes: the piano is silent"]
    return Score(sorted(in_range), score.has_pedal, (*score.warnings, *added))


def _read_midi(path: Path) -> Score:
    """Merge all pitched instruments, each with its own pedal; drums are ignored."""
    import pretty_midi

    try:
        with midi_errors(path):
            midi = pretty_midi.PrettyMIDI(str(path))
    except MidiFileError as error:
        raise NoteFileError(str(error)) from error
    notes: list[Note] = []
    has_pedal = False
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        pedals = find_pedals(instrument.control_changes, float(midi.get_end_time()))
        has_pedal = has_pedal or bool(pedals)
        notes += apply_pedals(instrument_notes(instrument), pedals)
    n_drums = sum(len(instrument.notes) for instrument in midi.instruments if instrument.is_drum)
    return Score(notes, has_pedal, (f"{n_drums} drum notes are left out",) if n_drums else ())


def find_pedals(changes: list[Any], end: float) -> list[Pedal]:
    """Find the pedal spans in control changes (``number``, ``value``, ``time`` in s); the last one ends by ``end``."""
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
    """Read a table of ``onset, offset, note`` (or ``pitch``), ``velocity``, in the CSV dialects of spreadsheets."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        msg = f"{path}: neither a MIDI file nor a table of notes"
        raise NoteFileError(msg) from error
    header = lines[0] if lines else ""
    delimiter = max(";\t,", key=header.count)
    columns = [name.strip().strip('"').lower() for name in header.split(delimiter)]
    pitch_column = next((name for name in ("note", "pitch") if name in columns), None)
    if pitch_column is None or not {"onset", "offset"} <= set(columns):
        msg = f"{path}: neither a MIDI file nor a table of notes (first line: onset,offset,note,velocity)"
        raise NoteFileError(msg)
    notes = []
    for number, cells in enumerate(csv.reader(lines[1:], delimiter=delimiter), start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        try:
            notes.append(_row_to_note(row, pitch_column, decimal_comma=delimiter != ","))
        except (KeyError, ValueError, OverflowError) as error:
            reason = f"no {error} in this row" if isinstance(error, KeyError) else error
            msg = f"{path}, line {number}: {reason}"
            raise NoteFileError(msg) from error
    return Score(notes)


def _row_to_note(row: dict[str, str], pitch_column: str, *, decimal_comma: bool) -> Note:
    def number(name: str) -> float:
        return float(row[name].replace(",", ".") if decimal_comma else row[name])

    onset = number("onset")
    if onset < 0:
        msg = f"onset is {onset:g} s, must not be negative"
        raise ValueError(msg)
    text = row[pitch_column]
    pitch = float(name_to_key(text)) if text[:1].isalpha() and text[:3] != "nan" else number(pitch_column)
    velocity = int(number("velocity")) if row.get("velocity") else 80
    if not math.isfinite(pitch):
        msg = f"{pitch_column} is {text}, allowed is 0 to 127 (MIDI number)"
        raise ValueError(msg)
    return Note(onset, number("offset"), float(math.floor(pitch + 0.5)), velocity)


CSV_COLUMNS = ("onset", "offset", "pitch", "note", "velocity", "confidence")


def write_csv(path: Path | str, notes: Sequence[Note], keys: Sequence[Note]) -> None:
    """Write transcribed pitches and piano keys as CSV with ``CSV_COLUMNS`` (seconds, MIDI numbers).

    Onsets and offsets are those of the keys, which differ from the transcribed ones only after quantization.
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
    """Read a file of :func:`write_csv`: transcribed notes and piano keys.

    Raises
    ------
    ValueError
        With the path and the line that cannot be read.
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
