"""Files of notes: scores to render (MIDI or a table), and the CSV table of a conversion."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_model.notes.midi_file import MidiFileError
from hf_model.notes.midi_parts import RESET_CONTROLLERS, SOUND_OFF, ControlChange, read_parts
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.note_table import LENGTH_COLUMN, TableError, parse_table
from hf_model.notes.pedal import Pedal, apply_pedals

SUSTAIN, DOWN = 64, 64
"""MIDI controller of the sustain pedal, and the lowest value that means down."""

AFTER_SOUND_OFF = 1e-3
"""Seconds from the end of all sound to the pedal that is still down for later notes."""

MAX_BYTES = 20_000_000

MAX_NOTES = 100_000
"""More are refused: they take minutes."""


MAX_LENGTH = 4 * 3600.0
"""Seconds; a longer one that a file states is not believed."""

SAME_END = 0.01
"""Seconds that the last note may end after the stated length, because of rounding."""


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
    duration : float, optional
        Seconds: the length of the recording, if the file states it and no note ends later.
    """

    notes: list[Note]
    has_pedal: bool = False
    warnings: tuple[str, ...] = ()
    duration: float | None = None


def read_score(path: Path) -> Score:
    """Read notes from a MIDI file or a table; the content decides which.

    Raises
    ------
    NoteFileError
        With the path, and the line of a table, that cannot be read.
    OSError
        If the file cannot be opened.
    """
    data = _read_bytes(path)
    try:
        score = _read_midi(data) if _is_midi(data) else _read_table(data)
    except MidiFileError as error:
        msg = f"{path}: not a readable MIDI file ({error})"
        raise NoteFileError(msg) from error
    except TableError as error:
        msg = f"{path}, {error}" if str(error).startswith("line") else f"{path}: {error}"
        raise NoteFileError(msg) from error
    if len(score.notes) > MAX_NOTES:
        msg = f"{path}: {len(score.notes)} notes, at most {MAX_NOTES} are rendered"
        raise NoteFileError(msg)
    in_range = [replace(note, pitch=float(fold_to_keyboard(int(note.pitch)))) for note in score.notes]
    n_moved = sum(note.pitch != old.pitch for note, old in zip(in_range, score.notes, strict=True))
    added = [f"{n_moved} notes are outside the range of the piano and are played in another octave"] if n_moved else []
    added += [] if in_range else ["the file has no notes: the piano is silent"]
    return replace(score, notes=sorted(in_range), warnings=(*score.warnings, *added))


def _read_bytes(path: Path) -> bytes:
    """Read a file of limited size; pipes would wait, and devices never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        msg = f"{path}: this is a pipe or a device, not a file"
        raise NoteFileError(msg)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        msg = f"{path}: larger than {MAX_BYTES // 1_000_000} MB: not a file of notes"
        raise NoteFileError(msg)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        msg = f"{path}: this is a recording; `hummingface convert` makes notes of it"
        raise NoteFileError(msg)
    return data


def _is_midi(data: bytes) -> bool:
    """Whether it begins like a MIDI file, also in a RIFF container or after the 128 bytes of an old Macintosh."""
    return data[:4] in {b"MThd", b"RIFF"} or data[128:132] == b"MThd"


def _read_table(data: bytes) -> Score:
    table = parse_table(data, MAX_NOTES)
    return Score(table.notes, duration=_checked_length(table.duration, table.notes))


def _read_midi(data: bytes) -> Score:
    """Merge all pitched parts, each with the pedal of its channel; drums are ignored."""
    read = read_parts(data)
    pitched = [part for part in read.parts if not part.is_drum]
    end = max([read.end, *(note.offset for part in pitched for note in part.notes)])
    pedals = {channel: find_pedals(changes, end) for channel, changes in read.controls.items()}
    notes = [note for part in pitched for note in apply_pedals(part.notes, pedals.get(part.channel, []))]
    n_drums = sum(len(part.notes) for part in read.parts if part.is_drum)
    drums = (f"{n_drums} drum notes are left out",) if n_drums else ()
    lengths = filter(None, map(_LENGTH.search, read.texts))
    length = next((int(found[1]) / int(found[2]) for found in lengths if int(found[2])), None)
    length = _checked_length(length, [note for part in pitched for note in part.notes])
    return Score(notes, any(pedals.get(part.channel) for part in pitched), (*read.warnings, *drums), length)


def _checked_length(length: float | None, notes: Sequence[Note]) -> float | None:
    """Return a stated length in seconds, unless notes were added after it or it is damaged."""
    last = max((note.offset for note in notes), default=0.0)
    return length if length is not None and last - SAME_END <= length <= MAX_LENGTH else None


def find_pedals(changes: Sequence[ControlChange], end: float) -> list[Pedal]:
    """Find the pedal spans in control changes; the last one ends by ``end``, all at the end of all sound."""
    pedals = []
    down: float | None = None
    for change in sorted(changes, key=lambda change: float(change.time)):
        time = float(change.time)
        is_end = change.number in {SOUND_OFF, RESET_CONTROLLERS} or (change.number == SUSTAIN and change.value < DOWN)
        if change.number == SUSTAIN and change.value >= DOWN and down is None:
            down = time
        elif is_end and down is not None:
            if time > down:
                pedals.append(Pedal(down, time))
            down = time + AFTER_SOUND_OFF if change.number == SOUND_OFF else None
    if down is not None and end > down:
        pedals.append(Pedal(down, end))
    return pedals


_LENGTH = re.compile(r"recording: (\d{1,12}) samples at (\d{1,7}) Hz")


def describe_length(n_samples: int, sample_rate: int) -> str:
    """Write the length of a recording as the text event that :func:`read_score` finds in a MIDI file."""
    return f"recording: {n_samples} samples at {sample_rate} Hz"


CSV_COLUMNS = ("onset", "offset", "pitch", "note", "velocity", "confidence")


def write_csv(
    path: Path | str,
    notes: Sequence[Note],
    keys: Sequence[Note],
    duration: float | None = None,
    accompaniment: Sequence[Note] = (),
) -> None:
    """Write transcribed pitches and piano keys as CSV with ``CSV_COLUMNS`` (seconds, MIDI numbers).

    Onsets and offsets are those of the keys, which differ from the transcribed ones only after quantization.

    Parameters
    ----------
    path : path
    notes, keys : sequence of Note
        Of the same length.
    duration : float, optional
        Seconds, of the recording: every row has it in the column ``recording``, from which :func:`read_score` restores
        the length. A table without notes has a row with this cell alone.
    accompaniment : sequence of Note
        Those of ``keys`` that the left hand plays: with any, a column ``hand`` says "right" or "left".
    """
    left = {id(note) for note in accompaniment}
    length = [] if duration is None else [f"{duration:.6f}"]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*CSV_COLUMNS, *([LENGTH_COLUMN] if length else []), *(["hand"] if left else [])])
        if length and not notes:
            writer.writerow([*([""] * len(CSV_COLUMNS)), *length])
        for note, key in zip(notes, keys, strict=True):
            writer.writerow(
                [
                    f"{key.onset:.4f}",
                    f"{key.offset:.4f}",
                    f"{note.pitch:.3f}",
                    int(key.pitch),
                    key.velocity,
                    f"{note.confidence:.3f}",
                    *length,
                    *([("left" if id(key) in left else "right")] if left else []),
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
            if not any(row[name] for name in CSV_COLUMNS):
                continue
            try:
                onset, offset = float(row["onset"]), float(row["offset"])
                velocity, confidence = int(row["velocity"]), float(row["confidence"])
                notes.append(Note(onset, offset, float(row["pitch"]), velocity, confidence))
                keys.append(Note(onset, offset, float(int(row["note"])), velocity, confidence))
            except (TypeError, ValueError) as error:
                msg = f"{path}, line {reader.line_num}: {error}"
                raise ValueError(msg) from error
    return notes, keys
